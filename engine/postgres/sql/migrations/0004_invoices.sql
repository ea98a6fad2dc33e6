-- What points of sale have printed (INV-1); claimed once its number stands in invoice_claim.
create table invoice (
    store_id       integer not null,
    invoice_number text not null,
    amount         bigint not null,                         -- minor units
    currency       text not null,
    issued_at      timestamptz not null,
    received_at    timestamptz not null,
    arrival        bigint generated always as identity,     -- rises in the order of commits, with gaps
    primary key (store_id, invoice_number)
);
create index invoice_issued on invoice (store_id, issued_at, invoice_number);
create index invoice_arrival on invoice (store_id, arrival);
