-- The journal, which is the ledger, and the companions that are inserted with its rows.

-- Which wallets a customer has: inserted with a wallet's first posting, never changed.
create table wallet (
    customer_id uuid not null,
    asset       integer not null,
    primary key (customer_id, asset)
);

-- The ledger. Insert-only, one row a posting, each with the state of its wallet after it. The order
-- of the columns is the order in which the compiled core writes and hashes them; those of fixed size
-- come first, so that none is padded.
create table journal (
    customer_id    uuid not null,
    asset          integer not null,            -- 0: coins; else the brand whose points they are
    by_id          integer not null,            -- the principal that asked for it; 0: nobody named
    seq            bigint not null,             -- 1, 2, 3 ... in each wallet, without a gap
    transaction_id uuid not null,
    leg            smallint not null,           -- 0 the operation's own posting; 1 its coins
    kind           smallint not null,           -- see engine/codes.py
    refusal        smallint not null,           -- 0, or why nothing was done
    part           smallint not null,           -- of a reversal: 0 the whole, else the n-th part
    requested      bigint not null,             -- how much the operation asked for
    amount         bigint not null,             -- change of the available balance
    held_amount    bigint not null,             -- change of what is held
    balance        bigint not null,             -- available after this posting
    held           bigint not null,             -- held after this posting
    counter        smallint not null,           -- the account on the other side
    cause          smallint not null,           -- of a reversal: returned, wrong customer, mistake
    counter_party  integer not null,            -- whose account that is: a brand, or 0
    brand_id       integer not null,            -- where it happened; 0: nowhere in particular
    store_id       integer not null,
    flags          smallint not null,           -- bit 0: the customer is blocked
    missing_fields smallint not null,           -- of the customer's profile, when this was decided
    till           smallint not null,           -- of the store; 0: not named
    batch_rows     smallint not null,           -- the rows that were appended with this one
    writer_id      integer not null,            -- who appended it, and in which of its batches
    batch          integer not null,
    fingerprint    bigint not null,             -- of the request, to tell a reused key from a retry
    occurred_at    timestamptz not null,
    recorded_at    timestamptz not null,
    bill_amount    bigint,                      -- minor units of the brand's currency
    counted_day    integer,                     -- the business day, in days since 1970; on it
    counted_sales  integer,                     -- the number of sales of the wallet
    counted_points bigint,                      -- and the points that the wallet earned
    reference      uuid,                        -- the payment that this posting belongs to
    lots           bigint[] not null,           -- open after: key, amount, key, amount ...
    moved          bigint[] not null,           -- lots this posting moved, with the sign of the move
    holds          bytea,                       -- open after: packed, see ext/holds.pxi
    invoice_number text,                        -- as it was typed
    invoice_scope  text,                        -- what else names the invoice: day, till; see INV-4
    details        text,                        -- JSON of the receipt that no column holds
    hash           bytea not null,              -- keyed BLAKE2b-128(hash of the row before ‖ this row)
    xid            bigint not null default pg_current_xact_id()::text::bigint,  -- not hashed
    constraint journal_pkey primary key (customer_id, asset, seq),
    constraint journal_transaction_key unique (customer_id, transaction_id, leg)
);

-- The key of the hashes is not in the database; this is what it is known by. One row, once rows are
-- written.
create table journal_chain (
    only_row    boolean primary key default true check (only_row),
    fingerprint bytea not null
);

-- Who looks for a reference wants first rows: those that coins are issued by need not be here.
create index journal_reference on journal (customer_id, reference)
 where reference is not null and leg = 0;

-- A transaction is reversed once (PTS-8, RED-7).
create unique index journal_reversal on journal (customer_id, reference)
 where kind = {kind:reversal} and leg = 0 and refusal = {refusal:none};

-- Holds by the time they were placed: those whose time is up are found among the newest.
create index journal_hold on journal (recorded_at)
 where kind = {kind:hold} and refusal = {refusal:none};

-- The transaction that wrote a row is filled by the server: folding takes those that have ended.
create index journal_xid on journal (xid);

-- What happens once, by its normal form: letters and digits, in capitals. Each row is inserted with
-- the posting that claims, and deleted with the reversal that frees it (INV-6).

-- The key of an invoice: its number, and what else names it (INV-4). The same as claim_key_of of the
-- compiled core.
create function claim_key(text, text default null) returns text
language sql immutable parallel safe as $$
select upper(regexp_replace($1, '[^A-Za-z0-9]', '', 'g') collate "C") || coalesce('@' || $2, '')
$$;

-- An invoice of a store earns once (PTS-7). One that its point of sale has voided is claimed by no
-- transaction of no customer: both ids are all zeros (INV-5).
create table invoice_claim (
    store_id       integer not null,
    invoice_key    text collate "C" not null,
    customer_id    uuid not null,
    transaction_id uuid not null,
    primary key (store_id, invoice_key)
);

-- A reference of a partner converts once (SYS-9).
create table reference_claim (
    partner_id     integer not null,
    reference_key  text collate "C" not null,
    customer_id    uuid not null,
    transaction_id uuid not null,
    primary key (partner_id, reference_key)
);

-- An order of a brand's online shop pays once (INV-8).
create table order_claim (
    brand_id       integer not null,
    order_key      text collate "C" not null,
    customer_id    uuid not null,
    transaction_id uuid not null,
    primary key (brand_id, order_key)
);

-- The coins that pay an invoice, all payments together: never more than its amount is worth (INV-8).
-- `coins_max` is NULL where nobody has said what the amount is. An invoice that its point of sale has
-- voided has a row too, and no coins are paid on it (INV-5).
create table invoice_payment (
    store_id    integer not null,
    invoice_key text collate "C" not null,
    coins_max   bigint,
    coins       bigint not null default 0,
    paid        bigint not null default 0,      -- of them; the others wait for a code
    voided      boolean not null default false,
    primary key (store_id, invoice_key),
    constraint invoice_payment_coins check (paid >= 0 and coins >= paid
                                            and coins <= coalesce(coins_max, coins)),
    constraint invoice_payment_voided check (not voided or paid = 0)
);

-- Add to the coins of an invoice, or give them back where below zero: `more` coins, of which `settled`
-- are paid and wait for no code. `most` is how many can pay it in all, -1 where that is not known.
-- Where it is the amount that was `printed`, it alone counts. Of typed amounts the smallest does,
-- while coins pay the invoice. On one that is voided no coins can be held.
create procedure pay_invoice(store integer, key text, most bigint, more bigint,
                             settled bigint default 0, printed boolean default false)
language plpgsql as $$
begin
    loop
        update invoice_payment p
           set coins = p.coins + more,
               paid = p.paid + settled,
               coins_max = case when p.voided and more > 0 then 0
                                when printed then most
                                when p.coins = 0 then nullif(most, -1)
                                else least(p.coins_max, nullif(most, -1)) end
         where p.store_id = store and p.invoice_key = key;
        exit when found;
        insert into invoice_payment (store_id, invoice_key, coins_max, coins, paid)
        values (store, key, nullif(most, -1), more, settled)
            on conflict do nothing;
        exit when found;
    end loop;
end $$;

-- The codes of a customer's app that have paid (COI-6), by the second in which each was issued:
-- inserted with the payment.
create table qr_use (
    customer_id    uuid not null,
    issued_at      bigint not null,
    transaction_id uuid not null,
    primary key (customer_id, issued_at)
);

-- Presence (COI-10): a QR of the customer's app serves the first store that looks it up.

-- The QRs that were looked up, by the second in which each was issued, and by which store. A row is
-- deleted some minutes after its QR is over.
create table qr_look_up (
    customer_id uuid not null,
    issued_at   bigint not null,
    store_id    integer not null,
    primary key (customer_id, issued_at)
);
create index qr_look_up_issued on qr_look_up (issued_at);

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
-- found one after the other, so that a reader of a few of them stops early.
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

-- The transactions whose invoice, reference or order may be claimed again: reversals of a sale to
-- the wrong customer or of a mistake have freed it (INV-6).
create view freed_transaction as
select r.customer_id, r.reference as transaction_id
  from journal r
 where r.kind = {kind:reversal} and r.leg = 0 and r.refusal = {refusal:none}
   and r.cause in ({cause:wrong_customer}, {cause:mistake});

-- The journal for a person at psql: lot keys taken apart. Issuers from 2^31 on are partners, and
-- what is owed to an issuer never expires.
create view posting as
select j.customer_id, j.asset, j.seq, j.transaction_id, j.kind, j.refusal, j.amount, j.held_amount,
       j.balance, j.held, j.brand_id, j.store_id, j.recorded_at,
       (select coalesce(jsonb_agg(jsonb_build_object(
                   'expires_on', case when j.lots[i] >> 32 > 0
                                      then date '1970-01-01' + (j.lots[i] >> 32)::integer end,
                   'issuer', j.lots[i] & 2147483647,
                   'partner', j.lots[i] & 2147483648 <> 0,
                   'amount', j.lots[i + 1]) order by i), '[]')
          from generate_series(1, coalesce(array_length(j.lots, 1), 0), 2) as i) as open_lots
  from journal j;
