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
                      and j.invoice_number = c.invoice_number)
 limit 100

-- rows_without_claim --
-- An invoice that has earned although it does not count as claimed (PTS-7).
select j.customer_id, j.asset, j.seq
  from journal j
 where j.kind = 1 and j.refusal = 0 and j.leg = 0 and j.invoice_number is not null
   and not exists (select from invoice_claim c
                    where c.store_id = j.store_id and c.invoice_number = j.invoice_number
                      and c.transaction_id = j.transaction_id)
 limit 100

-- units_without_row --
-- A unit that counts as taken although nothing was given for it (RED-5).
select u.item_id, u.unit, u.transaction_id
  from item_unit u
 where not exists (select from journal j
                    where j.customer_id = u.customer_id and j.transaction_id = u.transaction_id
                      and j.leg = 0 and j.kind = 2 and j.refusal = 0)
 limit 100

-- turns_without_row --
select t.customer_id, t.item_id, t.turn, t.transaction_id
  from item_turn t
 where not exists (select from journal j
                    where j.customer_id = t.customer_id and j.transaction_id = t.transaction_id
                      and j.leg = 0 and j.kind = 2 and j.refusal = 0)
 limit 100
