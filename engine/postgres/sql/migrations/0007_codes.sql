-- Codes of payments (COI-6): the wrong ones, to cap them, and those that were sent.

-- Wrong codes by where they were typed: inserted with the posting that counts the try, and forgotten
-- once they are out of every window. A session's cashier, 0 where it was a key.
create table failed_code (
    brand_id       integer not null,
    store_id       integer not null,
    cashier_id     integer not null,
    transaction_id uuid not null,
    failed_at      timestamptz not null,
    primary key (brand_id, transaction_id)
);
create index failed_code_brand on failed_code (brand_id, failed_at);
create index failed_code_store on failed_code (store_id, failed_at);
create index failed_code_cashier on failed_code (cashier_id, failed_at) where cashier_id > 0;

-- The postings whose code has gone out, for a retry of one whose code has not.
create table sent_code (
    customer_id    uuid not null,
    transaction_id uuid not null,
    sent_at        timestamptz not null,
    primary key (customer_id, transaction_id)
);
create index sent_code_sent on sent_code (sent_at);
