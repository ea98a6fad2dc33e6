-- What points of sale have printed (INV-1).

-- Rises in the order of commits, with gaps; a sale that is voided arrives once more.
create sequence invoice_arrival;

-- By the key that is claimed; the number as it was printed is kept beside it.
create table invoice (
    store_id       integer not null,
    invoice_key    text collate "C" not null,
    invoice_number text not null,
    till           text,                                    -- as the point of sale names it (INV-7)
    amount         bigint not null,                         -- minor units
    currency       text not null,
    issued_at      timestamptz not null,
    received_at    timestamptz not null,
    voided_at      timestamptz,                             -- by its point of sale (INV-5)
    arrival        bigint not null default nextval('invoice_arrival'),
    primary key (store_id, invoice_key)
);
create index invoice_issued on invoice (store_id, issued_at, invoice_key);
create unique index invoice_arrived on invoice (store_id, arrival);

-- What those who listen are notified of: an invoice, times in microseconds since 1970.
create function invoice_notice(invoice) returns json
language sql stable as $$
select json_build_object(
    'store_id', $1.store_id, 'invoice_key', $1.invoice_key, 'invoice_number', $1.invoice_number,
    'till', $1.till, 'amount', $1.amount, 'currency', $1.currency, 'arrival', $1.arrival,
    'issued_at', (extract(epoch from $1.issued_at) * 1000000)::bigint,
    'received_at', (extract(epoch from $1.received_at) * 1000000)::bigint,
    'voided_at', (extract(epoch from $1.voided_at) * 1000000)::bigint)
$$;
