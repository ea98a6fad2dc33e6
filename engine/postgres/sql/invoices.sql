-- Invoices that points of sale have printed (INV-1, INV-2).

-- insert --
-- Gives a row for each that is new, and tells those who listen of it when it commits, unless
-- somebody has claimed its number before. The lock is taken before a number of arrival is drawn and
-- kept over the commit: who has seen an arrival has seen all before it. Sorted by the caller, so
-- that no two of these statements ever deadlock.
with turn as materialized (
    select pg_advisory_xact_lock($6)::text as taken
), fresh as (
    insert into invoice (store_id, invoice_number, amount, currency, issued_at, received_at)
    select k.store_id, k.invoice_number, k.amount, k.currency, k.issued_at, clock_timestamp()
      from turn,
           unnest($1::integer[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[])
               with ordinality as k (store_id, invoice_number, amount, currency, issued_at, n)
     where turn.taken is not null
     order by k.n
        on conflict do nothing
    returning *
)
select f.store_id, f.invoice_number, f.amount, f.currency, f.issued_at, f.received_at,
       c.customer_id, c.transaction_id,
       case when c.transaction_id is null then pg_notify('leal_invoice', json_build_object(
           'store_id', f.store_id, 'invoice_number', f.invoice_number, 'amount', f.amount,
           'currency', f.currency, 'arrival', f.arrival,
           'issued_at', (extract(epoch from f.issued_at) * 1000000)::bigint,
           'received_at', (extract(epoch from f.received_at) * 1000000)::bigint)::text) end
  from fresh f
  left join invoice_claim c
    on c.store_id = f.store_id and c.invoice_number = upper(replace(f.invoice_number, ' ', ''))

-- find --
-- Invoices by store and number, with who has claimed them.
select i.store_id, i.invoice_number, i.amount, i.currency, i.issued_at, i.received_at,
       c.customer_id, c.transaction_id
  from unnest($1::integer[], $2::text[]) as k (store_id, invoice_number)
  join invoice i on i.store_id = k.store_id and i.invoice_number = k.invoice_number
  left join invoice_claim c
    on c.store_id = i.store_id and c.invoice_number = upper(replace(i.invoice_number, ' ', ''))

-- prints --
-- Whether a store has sent any invoice.
select exists (select from invoice where store_id = $1)

-- issued --
-- One page of a store's invoices, the newest first. $2: whether claimed, NULL for all. $3: issued at
-- this moment or later. $4, $5: before this (issued_at, invoice_number), or NULLs. $6: so many.
select i.store_id, i.invoice_number, i.amount, i.currency, i.issued_at, i.received_at,
       c.customer_id, c.transaction_id
  from invoice i
  left join invoice_claim c
    on c.store_id = i.store_id and c.invoice_number = upper(replace(i.invoice_number, ' ', ''))
 where i.store_id = $1 and i.issued_at >= $3
   and ($2::boolean is null or (c.transaction_id is not null) = $2)
   and ($4::timestamptz is null or (i.issued_at, i.invoice_number) < ($4, $5::text))
 order by i.issued_at desc, i.invoice_number desc
 limit $6

-- arrived --
-- Unclaimed invoices of a store that came after arrival $2 and were issued at $3 or later, in the
-- order in which they came, $4 of them at most.
select i.store_id, i.invoice_number, i.amount, i.currency, i.issued_at, i.received_at, i.arrival
  from invoice i
 where i.store_id = $1 and i.arrival > $2 and i.issued_at >= $3
   and not exists (select from invoice_claim c
                    where c.store_id = i.store_id
                      and c.invoice_number = upper(replace(i.invoice_number, ' ', '')))
 order by i.arrival
 limit $4

-- last_arrival --
-- The last invoice of a store that came, 0 where none has.
select coalesce(max(arrival), 0) from invoice where store_id = $1
