-- Cashiers and their sessions, what brands offer for points and coins, and invoices of POS systems.

-- The principal is who a key speaks for: it stays the same when the key is rotated, and with it the
-- name space of idempotency keys.
alter table api_key add column principal_id text;
update api_key set principal_id = key_id;
alter table api_key alter column principal_id set not null;

-- Erased: nothing personal is left, the ledger stays (Ley 1581 of Colombia).
alter table customer alter column document_type drop not null;
alter table customer alter column document_number drop not null;
alter table customer alter column email drop not null;
alter table customer add column erased_at timestamptz;

alter table brand add column retired_at timestamptz;
alter table store add column retired_at timestamptz;
alter table partner add column retired_at timestamptz;
alter table organisation add column retired_at timestamptz;

-- What a brand gives: rewards to all (RED-1), promotions in their time and to their segment (RED-2),
-- gifts to named customers (RED-3). One numbering for all, so that a unit needs one number.
create table item (
    item_id        integer primary key,
    kind           text not null check (kind in ('reward', 'promotion', 'gift')),
    brand_id       integer not null,
    name           text not null,
    points         bigint not null check (points >= 0),
    coins          bigint not null check (coins >= 0),
    stock          integer check (stock >= 0),              -- NULL: there is no end of it
    customer_limit integer check (customer_limit > 0),      -- NULL: as often as they like
    starts_at      timestamptz,                             -- NULL: since ever
    ends_at        timestamptz,                             -- NULL: for ever; else the first moment after
    segment        text,                                    -- JSON: who may take it; NULL: everybody
    available      boolean not null default true,           -- false while the brand takes it out
    retired_at     timestamptz,
    check (points = 0 or coins = 0)
);
insert into item (item_id, kind, brand_id, name, points, coins, available)
select reward_id, 'reward', brand_id, name, points, 0, available from reward;
drop table reward;

-- Whom a gift is for.
create table gift_customer (
    item_id     integer not null,
    customer_id uuid not null,
    primary key (customer_id, item_id)
);

-- The stock of an item is numbered from 1, and each unit is taken once: inserted with the posting
-- that takes it, so a popular reward has no row that its redemptions wait for (RED-5).
create table item_unit (
    item_id        integer not null,
    unit           integer not null,
    customer_id    uuid not null,
    transaction_id uuid not null,
    primary key (item_id, unit)
);

-- A customer's turns at an item with a limit, numbered from 1, each taken once (RED-5).
create table item_turn (
    customer_id    uuid not null,
    item_id        integer not null,
    turn           integer not null,
    transaction_id uuid not null,
    primary key (customer_id, item_id, turn)
);

-- Who works at the tills (USR-1). Names are in lower case.
create table cashier (
    cashier_id      integer primary key,
    brand_id        integer not null,
    store_id        integer,                                -- NULL: any store of the brand
    user_name       text not null,
    name            text not null,
    password_hash   text not null,                          -- argon2id, with its parameters
    failures        integer not null default 0,             -- since the last good sign-in
    locked_until    timestamptz,
    disabled_at     timestamptz,
    created_at      timestamptz not null,
    unique (brand_id, user_name)
);

-- Sessions of cashiers. Only a hash of the token's secret is kept.
create table session (
    session_id  text primary key,
    secret_hash bytea not null,
    cashier_id  integer not null,
    brand_id    integer not null,
    store_id    integer not null,
    created_at  timestamptz not null,
    expires_at  timestamptz not null,
    ended_at    timestamptz
);
create index session_cashier on session (cashier_id) where ended_at is null;

-- What points of sale have printed (INV-1); claimed once its number stands in invoice_claim.
create table invoice (
    store_id       integer not null,
    invoice_number text not null,
    amount         bigint not null,                         -- minor units
    currency       text not null,
    issued_at      timestamptz not null,
    received_at    timestamptz not null,
    primary key (store_id, invoice_number)
);
create index invoice_received on invoice (store_id, received_at);

-- Who changed what brands configure, and when. Nothing secret or personal goes in here.
create table change (
    change_id  bigint generated always as identity primary key,
    changed_at timestamptz not null,
    principal  text not null,                               -- 'key:…', 'cashier:…' or 'command line'
    action     text not null,                               -- 'reward created', 'key revoked'
    subject    text not null,                               -- its id
    content    text                                         -- JSON of what was asked for
);
