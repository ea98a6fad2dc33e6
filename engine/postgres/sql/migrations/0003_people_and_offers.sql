-- Cashiers and their sessions, what brands offer for points and coins, and invoices of POS systems.

-- The principal is who a key speaks for: it stays the same when the key is rotated, and with it the
-- name space of idempotency keys.
alter table api_key add column principal_id text;
update api_key set principal_id = key_id;
alter table api_key alter column principal_id set not null;
create index api_key_principal on api_key (principal_id);

-- Erased: nothing personal is left, the ledger stays (Ley 1581 of Colombia).
alter table customer alter column document_type drop not null;
alter table customer alter column document_number drop not null;
alter table customer alter column email drop not null;
alter table customer add column erased_at timestamptz;

-- Where codes go until then, after a till has changed the phone or the e-mail that they went to.
alter table customer add column code_channel text;
alter table customer add column code_to text;
alter table customer add column code_until timestamptz;

-- Where a profile changes or is erased, what the customer was found by goes.
create index identity_customer on identity (customer_id);

-- A version of a programme keeps its number for ever, and so does one that was withdrawn: whoever asks
-- for it again means no other one.
alter table programme add column version integer;
update programme p
   set version = n.version
  from (select brand_id, effective_from,
               row_number() over (partition by brand_id order by effective_from) as version
          from programme) n
 where n.brand_id = p.brand_id and n.effective_from = p.effective_from;
alter table programme alter column version set not null;
alter table programme add unique (brand_id, version);
alter table brand add column version_withdrawn integer not null default 0;  -- the largest one

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
create index gift_customer_item on gift_customer (item_id);

-- The stock of an item is numbered from 1, and each unit is taken once: inserted with the posting
-- that takes it, so a popular reward has no row that its redemptions wait for (RED-5).
create table item_unit (
    item_id        integer not null,
    unit           integer not null,
    customer_id    uuid not null,
    transaction_id uuid not null,
    primary key (item_id, unit)
);

-- The units from $2 to $3 of item $1 that nobody has taken, in their order: the gaps in the index,
-- found one after the other, so that whoever wants a few of them reads no further.
create function free_units(integer, integer, integer) returns setof integer
language sql stable as $$
select g.unit
  from (select t.before + 1 as low, t.unit - 1 as high
          from (select u.unit, lag(u.unit, 1, $2 - 1) over (order by u.unit) as before
                  from item_unit u
                 where u.item_id = $1 and u.unit between $2 and $3) t
         where t.unit > t.before + 1
         union all
        select coalesce(max(u.unit), $2 - 1) + 1, $3
          from item_unit u
         where u.item_id = $1 and u.unit between $2 and $3) gap
 cross join lateral generate_series(gap.low, gap.high) as g (unit)
$$;

-- The units of item $1 that may be taken of a stock of $2: those from $3 on, then those before it.
-- Where the stock was lowered and units above it are taken, as many of the first free ones are left
-- out. Each taking leaves the others' choice as it was, so no two writers take more than there is.
create function open_units(integer, integer, integer) returns setof integer
language sql stable as $$
select f.unit
  from (select case when above.units = 0 then 1
                    else coalesce((select f.unit from free_units($1, 1, $2) as f (unit)
                                   offset above.units limit 1), $2 + 1) end as first
          from (select count(*) as units from item_unit u
                 where u.item_id = $1 and u.unit > $2) above
        offset 0) b
 cross join lateral (values (greatest($3, b.first), $2), (b.first, $3 - 1)) as r (low, high)
 cross join lateral free_units($1, r.low, r.high) as f (unit)
$$;

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
    cashier_id      integer generated by default as identity primary key,
    brand_id        integer not null,
    store_id        integer,                                -- NULL: any store of the brand
    user_name       text not null,
    name            text not null,
    password_hash   text not null,                          -- argon2id, with its parameters
    password_set_at timestamptz not null,                   -- by the administrator
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
create index session_cashier on session (cashier_id);

-- Tries to sign in since the last good one. Those of users who do not exist are counted and slowed
-- down like the others, so that nobody learns by it who exists. Forgotten after a quiet day.
create table sign_in_try (
    subject      bytea primary key,                         -- a hash of the brand and the user name
    failures     integer not null,
    paused_until timestamptz,
    tried_at     timestamptz not null
);
create index sign_in_try_tried on sign_in_try (tried_at);

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

-- Who changed what brands configure, and when. Nothing secret or personal goes in here.
create table change (
    change_id  bigint generated always as identity primary key,
    changed_at timestamptz not null,
    principal  text not null,                               -- 'key:…', 'cashier:…' or 'command line'
    action     text not null,                               -- 'reward created', 'key revoked'
    subject    text not null,                               -- its id
    content    text                                         -- JSON of what was asked for
);
