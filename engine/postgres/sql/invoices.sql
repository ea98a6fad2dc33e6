-- Invoices that points of sale have printed (INV-1, INV-2), by the key that is claimed. One that is
-- voided is claimed by a transaction whose id is all zeros (INV-5).

-- insert --
-- Gives a row for each that is new, and notifies those who listen of it when it commits, unless
-- its number was claimed before. The lock is taken before a number of arrival is drawn and kept over
-- the commit: who has seen an arrival has seen all before it. Sorted by the caller, so that no two
-- of these statements ever deadlock.
with turn as materialized (
    select pg_advisory_xact_lock($8)::text as taken
), fresh as (
    insert into invoice (store_id, invoice_key, invoice_number, till, amount, currency, issued_at,
                         received_at)
    select k.store_id, k.invoice_key, k.invoice_number, k.till, k.amount, k.currency, k.issued_at,
           clock_timestamp()
      from turn,
           unnest($1::integer[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[],
                  $7::timestamptz[])
               with ordinality as k (store_id, invoice_key, invoice_number, till, amount, currency,
                                     issued_at, n)
     where turn.taken is not null
     order by k.n
        on conflict do nothing
    returning *
)
select f.*, c.customer_id, c.transaction_id,
       case when c.transaction_id is null
            then pg_notify('leal_invoice', invoice_notice(row(f.*)::invoice)::text) end
  from fresh f
  left join invoice_claim c on c.store_id = f.store_id and c.invoice_key = f.invoice_key

-- void --
-- Void an invoice that nobody has claimed, and notify those who listen: gives its row, nothing where
-- there is none, or it is claimed or voided. Violates invoice_payment_voided where coins are paid on
-- it; those that wait for a code are not paid any more. It arrives anew; see insert for the lock, $3.
-- Claims come before payments, as in an append, so that the two never deadlock.
with turn as materialized (
    select pg_advisory_xact_lock($3)::text as taken
), claim as (
    insert into invoice_claim (store_id, invoice_key, customer_id, transaction_id)
    select i.store_id, i.invoice_key, '00000000-0000-0000-0000-000000000000',
           '00000000-0000-0000-0000-000000000000'
      from turn, invoice i
     where turn.taken is not null and i.store_id = $1 and i.invoice_key = $2
        on conflict do nothing
    returning store_id, invoice_key
), unpaid as (
    insert into invoice_payment (store_id, invoice_key, voided)
    select c.store_id, c.invoice_key, true from claim c
        on conflict (store_id, invoice_key) do update set voided = true
    returning store_id, invoice_key
), voided as (
    update invoice i
       set voided_at = clock_timestamp(), arrival = nextval('invoice_arrival')
      from unpaid u
     where i.store_id = u.store_id and i.invoice_key = u.invoice_key
    returning i.*
)
select v.*, null::uuid as customer_id, null::uuid as transaction_id,
       pg_notify('leal_invoice', invoice_notice(row(v.*)::invoice)::text)
  from voided v

-- find --
-- Invoices by store and key, with who has claimed them.
select i.*, c.customer_id, c.transaction_id
  from unnest($1::integer[], $2::text[]) as k (store_id, invoice_key)
  join invoice i on i.store_id = k.store_id and i.invoice_key = k.invoice_key
  left join invoice_claim c on c.store_id = i.store_id and c.invoice_key = i.invoice_key

-- newest --
-- The newest invoice of a store ($1) and a number ($2), by whichever name (INV-4), that was issued at
-- $3 or later and, unless $4 is NULL, before $4. $5: of the till of this key as far as the till is
-- known, or NULL. $6: only one that nobody has claimed. $7: only one whose name has no till.
with numbered as materialized (
    select i.*, c.customer_id, c.transaction_id
      from invoice i
      left join invoice_claim c on c.store_id = i.store_id and c.invoice_key = i.invoice_key
     where i.store_id = $1
       and (i.invoice_key = $2 or (i.invoice_key >= $2 || '@' and i.invoice_key < $2 || 'A'))
       and i.issued_at >= $3 and ($4::timestamptz is null or i.issued_at < $4)
       and ($5::text is null or i.till is null or claim_key(i.till) in ('', $5))
       and (c.transaction_id is null or not $6)
       and (position('/' in i.invoice_key) = 0 or not $7)
)
select * from numbered order by issued_at desc limit 1

-- earlier --
-- The names by which sales stand already that were printed, claimed or paid while their store had
-- another scope (INV-4), those of one sale in the order in which they hold. Arrays have an element
-- for each name that may be: $1 which sale asks, $2 its store, $3 the lowest key of that name and $4
-- the highest one. It is the same sale if that was issued at $5 or later and before $6, at the till
-- of key $7 as far as both tills are known. $8: whether coins paid under that name count, which have
-- no date. What was printed counts as printed only.
select a.sale, e.invoice_key
  from unnest($1::integer[], $2::integer[], $3::text[], $4::text[], $5::timestamptz[],
              $6::timestamptz[], $7::text[], $8::boolean[])
       as a (sale, store_id, low, high, since, until, till_key, paid)
 cross join lateral (
    select 1 as rank, i.invoice_key
      from invoice i
     where i.store_id = a.store_id and i.invoice_key between a.low and a.high
       and i.issued_at >= a.since and i.issued_at < a.until
       and (a.till_key is null or i.till is null or claim_key(i.till) in ('', a.till_key))
     union all
    select 2, c.invoice_key
      from invoice_claim c
      join journal j on j.customer_id = c.customer_id and j.transaction_id = c.transaction_id
                    and j.leg = 0
     where c.store_id = a.store_id and c.invoice_key between a.low and a.high
       and j.occurred_at >= a.since and j.occurred_at < a.until
       and not exists (select from invoice i
                        where i.store_id = c.store_id and i.invoice_key = c.invoice_key)
     union all
    select 3, p.invoice_key
      from invoice_payment p
     where a.paid and p.coins > 0
       and p.store_id = a.store_id and p.invoice_key between a.low and a.high
       and not exists (select from invoice i
                        where i.store_id = p.store_id and i.invoice_key = p.invoice_key)
 ) e
 order by a.sale, e.rank

-- prints --
-- Whether a store has sent any invoice.
select exists (select from invoice where store_id = $1)

-- issued --
-- One page of a store's invoices, the newest first. $2: 'unclaimed', 'claimed', 'voided' or 'all'.
-- $3: issued at this moment or later. $4, $5: before this (issued_at, invoice_key), or NULLs. $6: so
-- many. $7: only of the till of this key, or NULL.
select i.*, c.customer_id, c.transaction_id
  from invoice i
  left join invoice_claim c on c.store_id = i.store_id and c.invoice_key = i.invoice_key
 where i.store_id = $1 and i.issued_at >= $3
   and case $2::text when 'unclaimed' then c.transaction_id is null
                     when 'claimed' then c.transaction_id is not null and i.voided_at is null
                     when 'voided' then i.voided_at is not null
                     else true end
   and ($4::timestamptz is null or (i.issued_at, i.invoice_key) < ($4, $5::text))
   and ($7::text is null or claim_key(i.till) = $7)
 order by i.issued_at desc, i.invoice_key desc
 limit $6

-- arrived --
-- Invoices of a store that came after arrival $2, unclaimed or voided, and were issued at $3 or
-- later, in the order in which they came, $4 of them at most.
select i.*
  from invoice i
 where i.store_id = $1 and i.arrival > $2 and i.issued_at >= $3
   and (i.voided_at is not null
        or not exists (select from invoice_claim c
                        where c.store_id = i.store_id and c.invoice_key = i.invoice_key))
 order by i.arrival
 limit $4

-- last_arrival --
-- The last invoice of a store that came, 0 where none has.
select coalesce(max(arrival), 0) from invoice where store_id = $1
