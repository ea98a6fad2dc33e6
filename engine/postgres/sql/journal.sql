-- Everything that the journal says to PostgreSQL. Rows are appended by binary COPY, which has no
-- text here; see Journal.append.

-- load --
-- Customers and the newest row of each of their wallets: one index look-up a wallet.
-- A customer without wallets gives one row of NULLs; an unknown customer gives none.
-- array_send and timestamptz_send hand over bytes that the compiled core reads by itself.
select c.customer_id, c.missing_fields, w.asset, h.seq, h.balance, h.held, h.flags,
       array_send(h.lots) as lots, h.holds, h.hash, timestamptz_send(h.recorded_at) as recorded_at
  from customer c
  left join wallet w on w.customer_id = c.customer_id
  left join lateral (
       select j.seq, j.balance, j.held, j.flags, j.lots, j.holds, j.hash, j.recorded_at
         from journal j
        where j.customer_id = w.customer_id and j.asset = w.asset
        order by j.seq desc
        limit 1) h on true
 where c.customer_id = any($1::uuid[])

-- lock --
-- Those of these customers that this session has now for itself, as a hint to other writers who ask
-- too: no row depends on it. A statement of its own, so that what is read afterwards is newer.
select k.customer_id
  from unnest($1::uuid[]) as k (customer_id)
 where pg_try_advisory_lock(hashtextextended(k.customer_id::text, 0))

-- unlock --
-- Leave all of them to others; a session that ends does so by itself.
select pg_advisory_unlock_all()

-- find --
-- The postings of transactions, by their idempotency keys' ids: what a retry is answered from.
select j.customer_id, j.transaction_id, j.leg, j.kind, j.refusal, j.requested, j.amount,
       j.held_amount, j.balance, j.held, j.counter, j.counter_party, j.asset, j.seq, j.brand_id,
       j.store_id, j.missing_fields, j.moved, j.holds, j.reference, j.fingerprint, j.occurred_at,
       j.recorded_at, j.bill_amount, j.invoice_number, j.invoice_scope, j.details, j.hash
  from unnest($1::uuid[], $2::uuid[]) as k (customer_id, transaction_id)
  join journal j on j.customer_id = k.customer_id and j.transaction_id = k.transaction_id
 order by j.leg

-- find_claims --
-- Who has claimed what these transactions want to claim: an invoice, a reference, an order.
-- $1: transactions, $2: kinds of claims, $3: owners, $4: keys. What a point of sale has voided is claimed
-- by no transaction: its id is all zeros.
select k.transaction_id, c.transaction_id as claimed_by
  from unnest($1::uuid[], $2::smallint[], $3::integer[], $4::text[])
       as k (transaction_id, kind, owner, key)
  join invoice_claim c on c.store_id = k.owner and c.invoice_key = k.key
 where k.kind = {claim:invoice} and c.transaction_id <> k.transaction_id
 union all
select k.transaction_id, c.transaction_id
  from unnest($1::uuid[], $2::smallint[], $3::integer[], $4::text[])
       as k (transaction_id, kind, owner, key)
  join reference_claim c on c.partner_id = k.owner and c.reference_key = k.key
 where k.kind = {claim:reference} and c.transaction_id <> k.transaction_id
 union all
select k.transaction_id, c.transaction_id
  from unnest($1::uuid[], $2::smallint[], $3::integer[], $4::text[])
       as k (transaction_id, kind, owner, key)
  join order_claim c on c.brand_id = k.owner and c.order_key = k.key
 where k.kind = {claim:order} and c.transaction_id <> k.transaction_id

-- find_used --
-- Which of these transactions want a QR that has paid, or the reversal of what is reversed, and
-- their refusal. $1: transactions, $2: customers, $3: QR codes, $4: what is reversed; NULL
-- where that is not wanted.
select k.transaction_id, {refusal:qr_invalid} as refusal
  from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as k (transaction_id, customer_id, issued_at)
  join qr_use u on u.customer_id = k.customer_id and u.issued_at = k.issued_at
 where u.transaction_id <> k.transaction_id
 union all
select k.transaction_id, {refusal:already_reversed}
  from unnest($1::uuid[], $2::uuid[], $4::uuid[]) as k (transaction_id, customer_id, reference)
  join journal j on j.customer_id = k.customer_id and j.reference = k.reference
                and j.kind = {kind:reversal} and j.leg = 0 and j.refusal = {refusal:none}
 where j.transaction_id <> k.transaction_id

-- find_paid --
-- How many coins have paid invoices, how many can, and which are voided. $1: stores, $2: keys.
select p.store_id, p.invoice_key, p.coins_max, p.coins, p.voided
  from unnest($1::integer[], $2::text[]) as k (store_id, invoice_key)
  join invoice_payment p on p.store_id = k.store_id and p.invoice_key = k.invoice_key

-- find_voided --
-- Which of these transactions are to capture a hold whose invoice is voided (INV-5).
-- $1: transactions, $2: customers, $3: holds.
select k.transaction_id
  from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k (transaction_id, customer_id, hold_id)
  join journal j on j.customer_id = k.customer_id and j.transaction_id = k.hold_id and j.leg = 0
  join invoice_payment p on p.store_id = j.store_id
                        and p.invoice_key = claim_key(j.invoice_number, j.invoice_scope)
 where p.voided

-- find_taken --
-- Which of these transactions want a unit or a turn that another transaction took, or coins of an
-- allotment that is closed, or has not as many as all of them want.
-- $1: customers, $2: transactions, $3: items, $4: units, $5: turns, $6: allotments, $7: coins;
-- unit or turn 0 is none.
select k.transaction_id
  from unnest($2::uuid[], $3::integer[], $4::integer[]) as k (transaction_id, item_id, unit)
  join item_unit u on u.item_id = k.item_id and u.unit = k.unit
 where u.transaction_id <> k.transaction_id
 union
select k.transaction_id
  from unnest($1::uuid[], $2::uuid[], $3::integer[], $5::integer[])
       as k (customer_id, transaction_id, item_id, turn)
  join item_turn t on t.customer_id = k.customer_id and t.item_id = k.item_id and t.turn = k.turn
 where t.transaction_id <> k.transaction_id
 union
select k.transaction_id
  from (select transaction_id, allotment_id, sum(coins) over (partition by allotment_id) as coins
          from unnest($2::uuid[], $6::uuid[], $7::bigint[])
               as w (transaction_id, allotment_id, coins)
         where allotment_id is not null) k
  left join issuer_allotment a on a.allotment_id = k.allotment_id
 where k.coins > coalesce(a.coins - a.drawn, 0)

-- payment --
-- Every posting of a payment, newest last: its hold, tries, resends, and how it ended.
select j.customer_id, j.transaction_id, j.leg, j.kind, j.refusal, j.requested, j.amount,
       j.held_amount, j.balance, j.held, j.counter, j.counter_party, j.asset, j.seq, j.brand_id,
       j.store_id, j.missing_fields, j.moved, j.holds, j.reference, j.fingerprint, j.occurred_at,
       j.recorded_at, j.bill_amount, j.invoice_number, j.invoice_scope, j.details, j.hash
  from journal j
 where j.customer_id = $1 and j.reference = $2 and j.leg = 0
 order by j.seq

-- wallets --
-- The newest row of each wallet of one customer.
select w.asset, h.seq, h.balance, h.held, h.flags, array_send(h.lots) as lots, h.holds, h.hash,
       timestamptz_send(h.recorded_at) as recorded_at
  from wallet w
 cross join lateral (
       select j.seq, j.balance, j.held, j.flags, j.lots, j.holds, j.hash, j.recorded_at
         from journal j
        where j.customer_id = w.customer_id and j.asset = w.asset
        order by j.seq desc
        limit 1) h
 where w.customer_id = $1

-- history --
-- One page of a customer's postings, newest first; refusals, tries and resends are left out.
-- A block or an unblock is listed once: by its row in the wallet of coins.
-- $2: only this asset, or NULL. $3: only what happened at this brand, or NULL.
-- $4, $5, $6: before this (recorded_at, asset, seq), or NULLs. $7: rows at most. $8: points only.
-- $9: with blocks and unblocks. $10, $11: only what was recorded from this day to before that one,
-- days of the asset's country; or NULLs.
select h.*
  from wallet w
  left join brand b on b.brand_id = w.asset
 cross join lateral (
       select j.transaction_id, j.leg, j.kind, j.amount, j.held_amount, j.balance, j.held, j.asset,
              j.seq, j.brand_id, j.store_id, j.reference, j.occurred_at, j.recorded_at,
              j.bill_amount, j.invoice_number, j.details
         from journal j
        where j.customer_id = w.customer_id and j.asset = w.asset
          and (j.amount <> 0 or j.held_amount <> 0
               or (j.refusal = {refusal:none}
                   and (j.kind in ({kinds:shown_empty})
                        or ($9::boolean and j.kind in ({kinds:standing}) and j.asset = 0))))
          and ($3::integer is null or j.brand_id = $3)
          and ($4::timestamptz is null
               or (j.recorded_at, j.asset, j.seq) < ($4, $5::integer, $6::bigint))
          and ($10::date is null or (local_day(j.recorded_at, b.country) >= $10
                                     and local_day(j.recorded_at, b.country) < $11::date))
        order by j.seq desc
        limit $7) h
 where w.customer_id = $1 and ($2::integer is null or w.asset = $2)
   and not ($8::boolean and w.asset = 0)
 order by h.recorded_at desc, h.asset desc, h.seq desc
 limit $7

-- states --
-- The newest row of each wallet of one customer before the day $2, before the day $3, and of all.
-- Days are those of the asset's country.
select s.at, w.asset, h.seq, h.balance, h.held, h.flags, array_send(h.lots) as lots, h.holds,
       h.hash, timestamptz_send(h.recorded_at) as recorded_at
  from wallet w
  left join brand b on b.brand_id = w.asset
 cross join (values ('opening', $2::date), ('closing', $3::date), ('now', 'infinity'))
       as s (at, day)
 cross join lateral (
       select j.seq, j.balance, j.held, j.flags, j.lots, j.holds, j.hash, j.recorded_at
         from journal j
        where j.customer_id = w.customer_id and j.asset = w.asset
          and local_day(j.recorded_at, b.country) < s.day
        order by j.seq desc
        limit 1) h
 where w.customer_id = $1

-- moved --
-- What the postings of one customer moved by kind, available and held together, from the day $2 to
-- before the day $3. $4: of coins only what happened at this brand, or NULL.
select w.asset, j.kind, sum(j.amount + j.held_amount)::bigint as amount
  from wallet w
  left join brand b on b.brand_id = w.asset
  join journal j on j.customer_id = w.customer_id and j.asset = w.asset
 where w.customer_id = $1
   and local_day(j.recorded_at, b.country) >= $2 and local_day(j.recorded_at, b.country) < $3
   and ($4::integer is null or w.asset = $4 or j.brand_id = $4)
 group by w.asset, j.kind

-- timeline --
-- Which server this is, and the time line that it writes: a failover or a restore to a point in
-- time changes it. NULL while it takes no writes.
select case when not pg_is_in_recovery()
            then system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) end
  from pg_control_system()

-- adopt_chain_key --
insert into journal_chain (fingerprint) values ($1) on conflict do nothing

-- chain_key --
select fingerprint from journal_chain

-- columns --
-- The columns of a table in their order.
select array_agg(attname::text order by attnum)
  from pg_attribute
 where attrelid = to_regclass($1) and attnum > 0 and not attisdropped
