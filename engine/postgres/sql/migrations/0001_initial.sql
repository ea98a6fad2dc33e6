-- The tables of the network. The journal is the ledger; every other table is what a decision
-- needs to know (who the customer is, what a brand configures) or a companion of the journal.
--
-- Rules that keep the schema fit for distribution by customer_id: every unique key holds its
-- distribution key, and there is no foreign key to a row that many sales share.

-- Who: one registration serves the whole network (CUS-1).
create table customer (
    customer_id     uuid primary key,
    document_type   text not null,
    document_number text not null,
    email           text not null,
    phone           text,
    first_names     text,
    last_names      text,
    gender          text,
    birth_date      date,
    country         text,
    city            text,
    missing_fields  smallint not null,          -- bit set of CUS-4 fields that are still empty
    created_at      timestamptz not null
);

-- One row an identity (document, phone, e-mail), keyed by its value: what makes it one person's.
create table identity (
    kind        text not null,                  -- 'document', 'phone' or 'email'
    value       text not null,                  -- normalised; 'CC:1020304050' for a document
    customer_id uuid not null,
    primary key (kind, value)
);

-- What the brands configure.
create table brand (
    brand_id integer primary key,
    name     text not null,
    country  text not null,                     -- ISO 3166: CO, SV, GT, PA
    currency text not null                      -- ISO 4217: COP, USD, GTQ
);

-- A brand's programme, versioned in time: the version in force is the newest one not in the future.
create table programme (
    brand_id              integer not null,
    effective_from        timestamptz not null,
    points                bigint not null,      -- so many points ...
    points_amount         bigint not null,      -- ... for each so many minor units of an invoice
    points_validity_days  integer not null,
    coins                 bigint not null,      -- so many coins ...
    coins_amount          bigint not null,      -- ... for each so many minor units
    issuer                boolean not null,     -- its customers earn coins (COI-2)
    receiver              boolean not null,     -- its stores accept coins (COI-3)
    primary key (brand_id, effective_from),
    check (points >= 0 and points_amount > 0 and points_validity_days > 0),
    check (coins >= 0 and coins_amount > 0)
);

create table store (
    store_id      integer primary key,
    brand_id      integer not null,
    name          text not null,
    city          text not null,
    accepts_coins boolean not null              -- its POS is enabled for coins (COI-3)
);

create table reward (
    reward_id integer primary key,
    brand_id  integer not null,
    name      text not null,
    points    bigint not null check (points > 0),
    available boolean not null default true
);

-- Keys of principals. Only a hash of the secret is kept.
create table api_key (
    key_id      text primary key,
    secret_hash bytea not null,
    role        text not null check (role in ('network', 'brand', 'store', 'app')),
    brand_id    integer,
    store_id    integer,
    name        text not null,
    created_at  timestamptz not null,
    revoked_at  timestamptz
);

-- Moves with every change of the tables above; workers compare it with what they hold.
create table catalogue_version (
    only_row boolean primary key default true check (only_row),
    version  bigint not null
);
insert into catalogue_version (version) values (1);

-- Which wallets a customer has: inserted with a wallet's first posting, never changed.
create table wallet (
    customer_id uuid not null,
    asset       integer not null,
    primary key (customer_id, asset)
);

-- The ledger. Insert-only, one row a posting, each with the state of its wallet after it.
-- The order of the columns is the order in which the compiled core writes and hashes them.
create table journal (
    customer_id    uuid not null,
    asset          integer not null,            -- 0: coins; else the brand whose points they are
    seq            bigint not null,             -- 1, 2, 3 ... in each wallet, without a gap
    transaction_id uuid not null,
    leg            smallint not null,           -- 0 the operation's own posting; 1 its coins
    kind           smallint not null,           -- see engine/ledger/vocabulary.py
    refusal        smallint not null,           -- 0, or why nothing was done
    requested      bigint not null,             -- how much the operation asked for
    amount         bigint not null,             -- change of the available balance
    held_amount    bigint not null,             -- change of what is held
    balance        bigint not null,             -- available after this posting
    held           bigint not null,             -- held after this posting
    counter        smallint not null,           -- the account on the other side
    counter_party  integer not null,            -- whose account that is: a brand, or 0
    brand_id       integer not null,            -- where it happened; 0: nowhere in particular
    store_id       integer not null,
    flags          smallint not null,           -- bit 0: the customer is blocked
    missing_fields smallint not null,           -- of the customer's profile, when this was decided
    lots           bigint[] not null,           -- open after: key, amount, key, amount ...
    moved          bigint[] not null,           -- lots this posting moved, with the sign of the move
    holds          bytea,                       -- open after: packed, see ext/holds.pxi
    reference      uuid,                        -- the payment that this posting belongs to
    fingerprint    bigint not null,             -- of the request, to tell a reused key from a retry
    occurred_at    timestamptz not null,
    recorded_at    timestamptz not null,
    bill_amount    bigint,                      -- minor units of the brand's currency
    invoice_number text,
    details        text,                        -- JSON of the receipt that no column holds
    hash           bytea not null,              -- BLAKE2b-128(hash of the row before ‖ this row)
    constraint journal_pkey primary key (customer_id, asset, seq),
    constraint journal_transaction_key unique (customer_id, transaction_id, leg)
);
create index journal_reference on journal (customer_id, reference) where reference is not null;

-- An invoice of a store earns once (PTS-7): inserted with the posting that claims it.
create table invoice_claim (
    store_id       integer not null,
    invoice_number text not null,
    customer_id    uuid not null,
    transaction_id uuid not null,
    primary key (store_id, invoice_number)
);

-- The journal for a person at psql: what the numbers mean, lot keys taken apart.
create view posting as
select j.customer_id, j.asset, j.seq, j.transaction_id, j.kind, j.refusal, j.amount, j.held_amount,
       j.balance, j.held, j.brand_id, j.store_id, j.recorded_at,
       (select coalesce(jsonb_agg(jsonb_build_object(
                   'expires_on', date '1970-01-01' + (j.lots[i] >> 32)::integer,
                   'issuer', (j.lots[i] & 4294967295)::integer,
                   'amount', j.lots[i + 1]) order by i), '[]')
          from generate_series(1, coalesce(array_length(j.lots, 1), 0), 2) as i) as open_lots
  from journal j;
