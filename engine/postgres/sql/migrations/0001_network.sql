-- What the network and its brands configure: brands, stores, programmes, partners, items and keys.
--
-- Rules that keep the schema fit for distribution by customer_id: every unique key holds its
-- distribution key, and there is no foreign key to a row that many sales share.

create table brand (
    brand_id          integer primary key,
    name              text not null,
    country           text not null,            -- ISO 3166: CO, SV, GT, PA
    currency          text not null,            -- ISO 4217: COP, USD, GTQ
    version_withdrawn integer not null default 0,   -- the largest version of a programme withdrawn
    retired_at        timestamptz
);

-- A brand's programme, versioned in time: the version in force is the newest one not in the future.
-- A version keeps its number, and the number of a withdrawn one is not used again.
create table programme (
    brand_id              integer not null,
    effective_from        timestamptz not null,
    version               integer not null,
    points                bigint not null,      -- points earned ...
    points_amount         bigint not null,      -- ... for each multiple of these minor units
    points_validity_days  integer not null,
    coins                 bigint not null,      -- coins earned ...
    coins_amount          bigint not null,      -- ... for each multiple of these minor units
    issuer                boolean not null,     -- its customers earn coins (COI-2)
    receiver              boolean not null,     -- its stores accept coins (COI-3)
    primary key (brand_id, effective_from),
    unique (brand_id, version),
    check (points >= 0 and points_amount > 0 and points_validity_days > 0),
    check (coins >= 0 and coins_amount > 0)
);

create table store (
    store_id      integer primary key,
    brand_id      integer not null,
    name          text not null,
    city          text not null,
    accepts_coins boolean not null,             -- its POS is enabled for coins (COI-3)
    invoice_scope text not null default 'forever'   -- how long a number names one invoice (INV-4)
                  check (invoice_scope in ('forever', 'day', 'till_day')),
    retired_at    timestamptz
);

-- The scopes that stores had before the one that is in force, and until when: a sale keeps the name by
-- which it was first printed, claimed or paid (INV-4).
create table invoice_scope_change (
    store_id integer not null,
    until    timestamptz not null,
    scope    text not null check (scope in ('forever', 'day', 'till_day')),
    primary key (store_id, until)
);

-- Partner programmes, whose points become coins (SYS-9).
create table partner (
    partner_id integer primary key,
    name       text not null,
    retired_at timestamptz
);

-- How many coins the points of a partner become (SYS-9), by versions, which are never changed.
create table partner_rate (
    partner_id     integer not null,
    effective_from timestamptz not null,
    coins          bigint not null check (coins > 0),       -- coins given ...
    points         bigint not null check (points > 0),      -- ... for each multiple of these points
    primary key (partner_id, effective_from)
);

-- Social organisations, which coins can be donated to (COI-8).
create table organisation (
    organisation_id integer primary key,
    name            text not null,
    retired_at      timestamptz
);

-- What a brand gives: rewards to all (RED-1), promotions in their time and to their segment (RED-2),
-- gifts to named customers (RED-3). One numbering for all, so that a unit needs one number.
create table item (
    item_id        integer primary key,
    kind           text not null check (kind in ('reward', 'promotion', 'gift')),
    brand_id       integer not null,
    name           text not null,
    points         bigint not null check (points >= 0),
    coins          bigint not null check (coins >= 0),
    stock          integer check (stock >= 0),              -- NULL: unlimited
    customer_limit integer check (customer_limit > 0),      -- NULL: unlimited
    starts_at      timestamptz,                             -- NULL: always
    ends_at        timestamptz,                             -- NULL: for ever; else the first moment after
    segment        text,                                    -- JSON: who may take it; NULL: everybody
    available      boolean not null default true,           -- false while the brand takes it out
    retired_at     timestamptz,
    check (points = 0 or coins = 0)
);

-- Whom a gift is for.
create table gift_customer (
    item_id     integer not null,
    customer_id uuid not null,
    primary key (customer_id, item_id)
);
create index gift_customer_item on gift_customer (item_id);

-- Keys of systems. Only a hash of the secret is kept. The principal is who a key speaks for: it stays
-- the same when the key is rotated, and with it the name space of idempotency keys.
create table api_key (
    key_id       text primary key,
    secret_hash  bytea not null,
    role         text not null check (role in ('network', 'brand', 'store', 'app')),
    brand_id     integer,
    store_id     integer,
    name         text not null,
    created_at   timestamptz not null,
    revoked_at   timestamptz,
    principal_id text not null
);
create index api_key_principal on api_key (principal_id);

-- Moves with every change of the tables above; workers compare it with what they hold.
create table catalogue_version (
    only_row boolean primary key default true check (only_row),
    version  bigint not null
);
insert into catalogue_version (version) values (1);

-- Who changed what brands configure, and when. Nothing secret or personal goes in here.
create table change (
    change_id  bigint generated always as identity primary key,
    changed_at timestamptz not null,
    principal  text not null,                               -- 'key:…', 'cashier:…' or 'command line'
    action     text not null,                               -- 'reward created', 'key revoked'
    subject    text not null,                               -- its id
    content    text                                         -- JSON of what was asked for
);
