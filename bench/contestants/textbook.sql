-- The textbook's tables: a balance row for each wallet, locked and updated by every sale.
create table if not exists idempotency (
    customer_id    uuid not null,
    key            text not null,
    fingerprint    bytea not null,
    transaction_id uuid not null,
    primary key (customer_id, key)
);

create table if not exists invoice (
    store_id       integer not null,
    number         text not null,
    transaction_id uuid not null,
    primary key (store_id, number)
);

create table if not exists balance (
    customer_id uuid not null,
    asset       integer not null,
    amount      bigint not null,
    primary key (customer_id, asset)
);

create table if not exists posting (
    transaction_id uuid not null,
    asset          integer not null,
    customer_id    uuid not null,
    brand_id       integer not null,
    store_id       integer not null,
    amount         bigint not null,
    balance        bigint not null,
    expires_on     date not null,
    bill_amount    bigint not null,
    recorded_at    timestamptz not null,
    primary key (transaction_id, asset)
);
create index if not exists posting_customer on posting (customer_id, recorded_at);
