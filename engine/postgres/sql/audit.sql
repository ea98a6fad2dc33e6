-- What the audit asks besides the stream of rows: do the journal's companions agree with it?

-- plan --
-- Each table as a whole against another one: on young tables, whose statistics are missing, loops
-- look cheap and take the square of the rows.
set local enable_nestloop = off

-- rows --
-- About how many rows there are, for a progress bar.
select greatest(reltuples, 0)::bigint from pg_class where relname = 'journal'

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
                  and j.kind in (4, 5, 6) and j.amount > 0)
 limit 100

-- turns_without_row --
select t.customer_id, t.item_id, t.turn, t.transaction_id
  from item_turn t
 where not exists (select from journal j
                    where j.customer_id = t.customer_id and j.transaction_id = t.transaction_id
                      and j.leg = 0 and j.kind in (2, 3, 12) and j.refusal = 0)
    or exists (select from journal j
                where j.customer_id = t.customer_id and j.reference = t.transaction_id
                  and j.kind in (4, 5, 6) and j.amount > 0)
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
