-- What the audit asks: for the rows in the order of their chains, and whether the journal's
-- companions agree with it. All of it in one snapshot, which several connections may share.

-- export_snapshot --
select pg_export_snapshot()

-- take_snapshot --
set transaction snapshot '{snapshot}'

-- plan --
-- Each table as a whole against another one: on young tables, whose statistics are missing, loops
-- look cheap and take the square of the rows. The processes share the cores among themselves, and
-- one that has done its part waits for the others. Rows lie in the order of time and are read in
-- that of their wallets: by the index where the cache has all of them, else better by a sort.
set local enable_nestloop = off;
set local max_parallel_workers_per_gather = 0;
set local work_mem = '64MB';
set local idle_in_transaction_session_timeout = 0;
select set_config('random_page_cost', '1.1', true)
 where pg_table_size('journal') < pg_size_bytes(current_setting('effective_cache_size'))

-- rows --
-- About how many rows there are: as many a page as when they were counted last.
select (pg_relation_size(oid) / current_setting('block_size')::integer
        * case when relpages > 0 then reltuples / relpages else 20 end)::bigint
  from pg_class
 where oid = 'journal'::regclass

-- cuts --
-- The customers at the shares $1 of a sample of $2 percent of the rows.
select percentile_disc($1::float8[]) within group (order by customer_id)
  from journal tablesample system ($2) repeatable (1)

-- stream --
select {columns}
  from journal
 where customer_id between '{first}' and '{last}'
 order by customer_id, asset, seq

-- roll_invoice_claim --
select store_id, invoice_number, customer_id, transaction_id from invoice_claim

-- roll_wallet --
select customer_id, asset from wallet

-- roll_partner_reference --
select partner_id, customer_id, transaction_id from partner_reference

-- wallets_without_rows --
select w.customer_id, w.asset
  from wallet w
 where not exists (select from journal j
                    where j.customer_id = w.customer_id and j.asset = w.asset and j.seq = 1)
 limit 100

-- rows_without_wallet --
select j.customer_id, j.asset
  from journal j
 where j.seq = 1
   and not exists (select from wallet w
                    where w.customer_id = j.customer_id and w.asset = j.asset)
 limit 100

-- claims_without_row --
-- An invoice that counts as claimed although nothing was earned by it.
select c.store_id, c.invoice_number, c.transaction_id
  from invoice_claim c
 where not exists (select from journal j
                    where j.customer_id = c.customer_id and j.transaction_id = c.transaction_id
                      and j.leg = 0 and j.store_id = c.store_id and j.refusal = 0
                      and upper(replace(j.invoice_number, ' ', '')) = c.invoice_number)
 limit 100

-- rows_without_claim --
-- An invoice that has earned although it does not count as claimed (PTS-7).
select j.customer_id, j.asset, j.seq
  from journal j
 where j.kind = 1 and j.refusal = 0 and j.leg = 0 and j.invoice_number is not null
   and not exists (select from invoice_claim c
                    where c.store_id = j.store_id
                      and c.invoice_number = upper(replace(j.invoice_number, ' ', ''))
                      and c.transaction_id = j.transaction_id)
 limit 100

-- units_without_row --
-- A unit that counts as taken although nothing was given for it (RED-5), or the coins of its
-- payment went back.
select u.item_id, u.unit, u.transaction_id
  from item_unit u
 where not exists (select from journal j
                    where j.customer_id = u.customer_id and j.transaction_id = u.transaction_id
                      and j.leg = 0 and j.kind in (2, 3, 12) and j.refusal = 0)
    or exists (select from journal j
                where j.customer_id = u.customer_id and j.reference = u.transaction_id
                  and j.leg = 0 and j.kind in (4, 5, 6) and j.amount > 0)
 limit 100

-- turns_without_row --
select t.customer_id, t.item_id, t.turn, t.transaction_id
  from item_turn t
 where not exists (select from journal j
                    where j.customer_id = t.customer_id and j.transaction_id = t.transaction_id
                      and j.leg = 0 and j.kind in (2, 3, 12) and j.refusal = 0)
    or exists (select from journal j
                where j.customer_id = t.customer_id and j.reference = t.transaction_id
                  and j.leg = 0 and j.kind in (4, 5, 6) and j.amount > 0)
 limit 100

-- qr_uses_without_row --
-- A QR that counts as used up although nothing was paid by it (COI-6).
select u.customer_id, u.issued_at, u.transaction_id
  from qr_use u
 where not exists (select from journal j
                    where j.customer_id = u.customer_id and j.transaction_id = u.transaction_id
                      and j.leg = 0 and j.kind = 12 and j.refusal = 0)
 limit 100

-- references_without_row --
-- A partner's reference that counts as converted although no coins came of it (SYS-9).
select r.partner_id, r.reference, r.transaction_id
  from partner_reference r
 where not exists (select from journal j
                    where j.customer_id = r.customer_id and j.transaction_id = r.transaction_id
                      and j.leg = 0 and j.kind = 13 and j.refusal = 0
                      and j.counter_party = r.partner_id)
 limit 100

-- rows_without_reference --
select j.customer_id, j.asset, j.seq
  from journal j
 where j.kind = 13 and j.refusal = 0
   and not exists (select from partner_reference r
                    where r.partner_id = j.counter_party and r.customer_id = j.customer_id
                      and r.transaction_id = j.transaction_id)
 limit 100

-- funds_unbalanced --
-- What was deposited is in the fund or in allotments, and those that are closed have issued it all.
select brand_id, sum(deposited)::bigint as deposited, sum(coins)::bigint as coins
  from (select brand_id, coins as deposited, 0 as coins from issuer_deposit
         union all select brand_id, 0, coins from issuer_fund
         union all select brand_id, 0, case when closed_at is null then coins else drawn end
                     from issuer_allotment) parts
 group by brand_id
having sum(deposited) <> sum(coins)
 limit 100

-- allotments_unbalanced --
-- What was drawn from an allotment is what the journal issued from it, less what was reversed.
with moved as (
    select j.reference as allotment_id, j.counter_party as brand_id, j.amount as coins
      from journal j
     where j.counter = 4 and j.kind in (1, 14) and j.reference is not null
     union all
    select o.reference, o.counter_party, r.amount
      from journal r
      join journal o on o.customer_id = r.customer_id and o.transaction_id = r.reference
                    and o.leg = r.leg
     where r.counter = 4 and r.kind = 16 and o.reference is not null),
issued as (select allotment_id, brand_id, sum(coins)::bigint as coins from moved group by 1, 2)
select allotment_id, coalesce(a.drawn, 0) as drawn, coalesce(i.coins, 0) as issued
  from issuer_allotment a
  full join issued i using (allotment_id, brand_id)
 where coalesce(a.drawn, 0) <> coalesce(i.coins, 0)
 limit 100

-- rows_not_prepaid --
-- Coins of an issuer that was prepaid by then. A worker may learn of that a moment later, and what
-- it had taken by then may wait for a while.
select j.customer_id, j.asset, j.seq
  from issuer_fund f
  join journal j on j.counter = 4 and j.counter_party = f.brand_id and j.kind in (1, 14)
                and j.amount > 0 and j.reference is null
                and j.recorded_at > f.prepaid_since + interval '1 minute'
 limit 100

-- reversals_of_nothing --
-- A reversal that has nothing to undo, or does not undo it to the last unit (PTS-8, RED-7).
select r.customer_id, r.asset, r.seq
  from journal r
 where r.kind = 16 and r.refusal = 0
   and not exists (select from journal o
                    where o.customer_id = r.customer_id and o.transaction_id = r.reference
                      and o.leg = r.leg and o.asset = r.asset and o.refusal = 0
                      and o.kind in (1, 2, 4, 12, 13, 14, 15)
                      and o.counter = r.counter and o.counter_party = r.counter_party
                      and o.amount + o.held_amount = -r.amount and r.held_amount = 0)
 limit 100

-- legs_not_reversed --
select o.customer_id, o.asset, o.seq
  from journal r
  join journal o on o.customer_id = r.customer_id and o.transaction_id = r.reference
 where r.kind = 16 and r.leg = 0 and r.refusal = 0
   and not exists (select from journal l
                    where l.customer_id = r.customer_id and l.transaction_id = r.transaction_id
                      and l.leg = o.leg)
 limit 100
