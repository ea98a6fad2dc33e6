-- Coins paid by a QR, converted from partners' points, and what is reversed: each happens once.

-- The codes of a customer's app that have paid (COI-6), by the second in which each was issued:
-- inserted with the payment.
create table qr_use (
    customer_id    uuid not null,
    issued_at      bigint not null,
    transaction_id uuid not null,
    primary key (customer_id, issued_at)
);

-- A reference of a partner converts once (SYS-9): inserted with the conversion.
create table partner_reference (
    partner_id     integer not null,
    reference      text not null,
    customer_id    uuid not null,
    transaction_id uuid not null,
    primary key (partner_id, reference)
);

-- Small letters and blanks around it make no other invoice (PTS-7).
update invoice_claim c
   set invoice_number = upper(replace(c.invoice_number, ' ', ''))
 where c.invoice_number <> upper(replace(c.invoice_number, ' ', ''))
   and not exists (select from invoice_claim o
                    where o.store_id = c.store_id
                      and o.invoice_number = upper(replace(c.invoice_number, ' ', '')));

-- A transaction is reversed once (PTS-8, RED-7).
create unique index journal_reversal on journal (customer_id, reference)
 where kind = 16 and leg = 0 and refusal = 0;

-- The transaction that wrote a row, filled by the server. Whoever folds rows into sums takes those
-- below pg_snapshot_xmin(pg_current_snapshot()), from where it left off: all of them have ended, so
-- no row of a slow transaction is passed over. No column of the chain: it is not hashed.
alter table journal add column xid bigint not null default pg_current_xact_id()::text::bigint;
create index journal_xid on journal using brin (xid) with (pages_per_range = 32);

-- Issuers from 2^31 on are partners, and what is owed to an issuer never expires.
create or replace view posting as
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
