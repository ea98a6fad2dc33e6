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
-- With what a reversal has freed: the rows that claimed it are in the journal. What is
-- voided is claimed by no row.
select store_id, invoice_key, customer_id, transaction_id
  from invoice_claim
 where transaction_id <> '00000000-0000-0000-0000-000000000000'
 union all
select o.store_id, claim_key(o.invoice_number, o.invoice_scope), o.customer_id, o.transaction_id
  from freed_transaction f
  join journal o using (customer_id, transaction_id)
 where o.leg = 0 and o.kind = {kind:accumulation} and o.invoice_number is not null

-- roll_reference_claim --
select partner_id, customer_id, transaction_id from reference_claim
 union all
select o.counter_party, o.customer_id, o.transaction_id
  from freed_transaction f
  join journal o using (customer_id, transaction_id)
 where o.leg = 0 and o.kind = {kind:conversion}

-- roll_order_claim --
select brand_id, customer_id, transaction_id from order_claim
 union all
select o.counter_party, o.customer_id, o.transaction_id
  from freed_transaction f
  join journal o using (customer_id, transaction_id)
 where o.leg = 0 and o.kind = {kind:cashback}

-- roll_wallet --
select customer_id, asset from wallet

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
-- What counts as claimed although nothing claimed it, or although a reversal has freed it (INV-6).
with claims as (
    select 'invoice_claim' as claim, store_id as owner, invoice_key as key, customer_id,
           transaction_id
      from invoice_claim
     where transaction_id <> '00000000-0000-0000-0000-000000000000'
     union all
    select 'reference_claim', partner_id, reference_key, customer_id, transaction_id
      from reference_claim
     union all
    select 'order_claim', brand_id, order_key, customer_id, transaction_id from order_claim)
select c.claim, c.owner, c.key
  from claims c
 where not exists (select from journal j
                    where j.customer_id = c.customer_id and j.transaction_id = c.transaction_id
                      and j.leg = 0 and j.refusal = {refusal:none}
                      and case c.claim
                          when 'invoice_claim'
                          then j.kind = {kind:accumulation} and j.store_id = c.owner
                               and claim_key(j.invoice_number, j.invoice_scope) = c.key
                          when 'reference_claim'
                          then j.kind = {kind:conversion} and j.counter_party = c.owner
                          else j.kind = {kind:cashback} and j.counter_party = c.owner end)
    or exists (select from freed_transaction f
                where f.customer_id = c.customer_id and f.transaction_id = c.transaction_id)
 limit 100

-- rows_without_claim --
-- What has earned although it does not count as claimed (PTS-7, SYS-9, INV-8), and is not freed.
select case j.kind when {kind:accumulation} then 'invoice_claim'
            when {kind:conversion} then 'reference_claim' else 'order_claim' end as claim,
       j.customer_id, j.asset, j.seq
  from journal j
 where j.refusal = {refusal:none} and j.leg = 0
   and (j.kind in ({kind:conversion}, {kind:cashback})
        or (j.kind = {kind:accumulation} and j.invoice_number is not null))
   and not exists (select from invoice_claim c
                    where j.kind = {kind:accumulation} and c.store_id = j.store_id
                      and c.invoice_key = claim_key(j.invoice_number, j.invoice_scope)
                      and c.transaction_id = j.transaction_id)
   and not exists (select from reference_claim c
                    where j.kind = {kind:conversion} and c.partner_id = j.counter_party
                      and c.customer_id = j.customer_id and c.transaction_id = j.transaction_id)
   and not exists (select from order_claim c
                    where j.kind = {kind:cashback} and c.brand_id = j.counter_party
                      and c.customer_id = j.customer_id and c.transaction_id = j.transaction_id)
   and not exists (select from freed_transaction f
                    where f.customer_id = j.customer_id and f.transaction_id = j.transaction_id)
 limit 100

-- claims_by_other_keys --
-- References and orders that are claimed by another key than that of their posting (SYS-9, INV-8). Of
-- a text in the details, what JSON escapes is no letter and no digit, and does not count in a key.
-- That the details are as they were written, their hash says.
with claims as (
    select 'reference_claim' as claim, partner_id as owner, reference_key as key, customer_id,
           transaction_id
      from reference_claim
     union all
    select 'order_claim', brand_id, order_key, customer_id, transaction_id from order_claim)
select c.claim, c.owner, c.key
  from claims c
  join journal j on j.customer_id = c.customer_id and j.transaction_id = c.transaction_id
                and j.leg = 0 and j.kind in ({kind:conversion}, {kind:cashback})
 where c.key <>
       claim_key(substring(j.details from '"(?:reference|order)":"((?:[^"\\]|\\.)*)"'))
 limit 100

-- voids_unmatched --
-- What a point of sale has voided is claimed by nobody, and by nobody else, and no coins are paid on
-- it (INV-5).
select store_id, invoice_key
  from (select store_id, invoice_key, true as found from invoice where voided_at is not null) i
  full join (select store_id, invoice_key, true as found from invoice_claim
              where transaction_id = '00000000-0000-0000-0000-000000000000') c
 using (store_id, invoice_key)
  full join (select store_id, invoice_key, true as found from invoice_payment where voided) p
 using (store_id, invoice_key)
 where i.found is null or c.found is null or p.found is null
 limit 100

-- invoice_payments_unbalanced --
-- The coins of an invoice are those of its holds and payments, less what voids, releases, refused
-- codes and reversals gave back; those are paid that were paid at once or captured
-- (INV-8). How many can pay it is what the bill of one of its payments is worth. It is no more than
-- the smallest of those whose coins have not gone back, or than the printed amount.
with payments as (
    select j.store_id, claim_key(j.invoice_number, j.invoice_scope) as invoice_key,
           j.bill_amount / 100 as worth,
           j.requested - coalesce(b.coins, 0) - coalesce(r.coins, 0) as coins,
           case when j.kind = {kind:payment} or c.transaction_id is not null
                then j.requested - coalesce(r.coins, 0) else 0 end as paid
      from journal j
      left join lateral (
           select sum(b.amount) as coins
             from journal b
            where b.customer_id = j.customer_id and b.reference = j.transaction_id and b.leg = 0
              and b.kind in ({kinds:gives_back}) and b.amount > 0) b on true
      left join lateral (
           select c.transaction_id
             from journal c
            where c.customer_id = j.customer_id and c.reference = j.transaction_id and c.leg = 0
              and c.kind = {kind:capture} and c.refusal = {refusal:none}
            limit 1) c on true
      left join lateral (
           select sum(r.amount) as coins
             from journal r
            where r.customer_id = j.customer_id and r.kind = {kind:reversal} and r.leg = 0
              and r.refusal = {refusal:none}
              and r.reference in (j.transaction_id, c.transaction_id)) r on true
     where j.kind in ({kinds:begins_payment}) and j.refusal = {refusal:none} and j.leg = 0
       and j.invoice_number is not null),
sums as (
    select store_id, invoice_key, sum(coins)::bigint as coins, sum(paid)::bigint as paid,
           array_agg(worth) filter (where worth is not null) as worths,
           min(worth) filter (where coins > 0) as least
      from payments
     group by 1, 2)
select store_id, invoice_key, coalesce(p.coins, 0) as coins, coalesce(p.paid, 0) as paid,
       p.coins_max, coalesce(s.coins, 0) as journal_coins, coalesce(s.paid, 0) as journal_paid,
       greatest(s.least, i.amount / 100) as journal_max
  from invoice_payment p
  full join sums s using (store_id, invoice_key)
  left join invoice i using (store_id, invoice_key)
 where coalesce(p.coins, 0) <> coalesce(s.coins, 0)
    or coalesce(p.paid, 0) <> coalesce(s.paid, 0)
    or p.coins_max < p.coins
    or (p.coins_max is not null and p.coins_max <> all (coalesce(s.worths, '{}')))
    or (s.least is not null
        and (p.coins_max is null or p.coins_max > greatest(s.least, i.amount / 100)))
 limit 100

-- units_without_row --
-- A unit that counts as taken although nothing was given for it (RED-5), or the coins of its
-- payment went back.
select u.item_id, u.unit, u.transaction_id
  from item_unit u
 where not exists (select from journal j
                    where j.customer_id = u.customer_id and j.transaction_id = u.transaction_id
                      and j.leg = 0 and j.kind in ({kinds:takes_item}) and j.refusal = {refusal:none})
    or exists (select from journal j
                where j.customer_id = u.customer_id and j.reference = u.transaction_id
                  and j.leg = 0 and j.kind in ({kinds:gives_back}) and j.amount > 0)
 limit 100

-- turns_without_row --
select t.customer_id, t.item_id, t.turn, t.transaction_id
  from item_turn t
 where not exists (select from journal j
                    where j.customer_id = t.customer_id and j.transaction_id = t.transaction_id
                      and j.leg = 0 and j.kind in ({kinds:takes_item}) and j.refusal = {refusal:none})
    or exists (select from journal j
                where j.customer_id = t.customer_id and j.reference = t.transaction_id
                  and j.leg = 0 and j.kind in ({kinds:gives_back}) and j.amount > 0)
 limit 100

-- qr_uses_without_row --
-- A QR that counts as used up although nothing was paid by it (COI-6).
select u.customer_id, u.issued_at, u.transaction_id
  from qr_use u
 where not exists (select from journal j
                    where j.customer_id = u.customer_id and j.transaction_id = u.transaction_id
                      and j.leg = 0 and j.kind = {kind:payment} and j.refusal = {refusal:none})
 limit 100

-- qr_look_ups_contradicted --
-- A QR serves the store that looked it up (COI-10): it was not paid by at another one, and was made
-- by now; the clocks of workers may be ahead by a little. Rows are deleted after an hour.
select q.customer_id, q.issued_at, q.store_id
  from qr_look_up q
  left join qr_use u on u.customer_id = q.customer_id and u.issued_at = q.issued_at
  left join journal j on j.customer_id = u.customer_id and j.transaction_id = u.transaction_id
                     and j.leg = 0
 where j.store_id <> q.store_id or to_timestamp(q.issued_at) > now() + interval '1 minute'
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
     where j.counter = {counter:coins_issued} and j.kind in ({kinds:issues})
       and j.reference is not null
     union all
    select o.reference, o.counter_party, r.amount
      from journal r
      join journal o on o.customer_id = r.customer_id and o.transaction_id = r.reference
                    and o.leg = r.leg
     where r.counter = {counter:coins_issued} and r.kind = {kind:reversal}
       and o.reference is not null),
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
  join journal j on j.counter = {counter:coins_issued} and j.counter_party = f.brand_id
                and j.kind in ({kinds:issues}) and j.amount > 0 and j.reference is null
                and j.recorded_at > f.prepaid_since + interval '1 minute'
 limit 100

-- reversals_of_nothing --
-- A reversal that has nothing to undo, or does not undo it to the last unit (PTS-8, RED-7).
select r.customer_id, r.asset, r.seq
  from journal r
 where r.kind = {kind:reversal} and r.refusal = {refusal:none}
   and not exists (select from journal o
                    where o.customer_id = r.customer_id and o.transaction_id = r.reference
                      and o.leg = r.leg and o.asset = r.asset and o.refusal = {refusal:none}
                      and o.kind in ({kinds:reversible})
                      and o.counter = r.counter and o.counter_party = r.counter_party
                      and o.amount + o.held_amount = -r.amount and r.held_amount = 0)
 limit 100

-- legs_not_reversed --
select o.customer_id, o.asset, o.seq
  from journal r
  join journal o on o.customer_id = r.customer_id and o.transaction_id = r.reference
 where r.kind = {kind:reversal} and r.leg = 0 and r.refusal = {refusal:none}
   and not exists (select from journal l
                    where l.customer_id = r.customer_id and l.transaction_id = r.transaction_id
                      and l.leg = o.leg)
 limit 100
