-- Customers and their identities.

-- insert_customer --
insert into customer (customer_id, document_type, document_number, email, phone, first_names,
                      last_names, gender, birth_date, country, city, document_country,
                      missing_fields, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)

-- update_customer --
update customer
   set document_type = $2, document_number = $3, email = $4, phone = $5, first_names = $6,
       last_names = $7, gender = $8, birth_date = $9, country = $10, city = $11,
       document_country = $12, missing_fields = $13, code_channel = $14, code_to = $15,
       code_until = $16
 where customer_id = $1

-- insert_identities --
-- Gives a row for each that was free; no error tells what was not, for a server logs its errors.
-- Sorted by the caller, so that two registrations of the same person never deadlock.
insert into identity (kind, value, customer_id)
select k.kind, k.value, $3 from unnest($1::text[], $2::text[]) with ordinality as k (kind, value, n)
 order by k.n
on conflict (kind, value) do nothing
returning kind

-- delete_identities --
delete from identity i
 using unnest($1::text[], $2::text[]) as k (kind, value)
 where i.kind = k.kind and i.value = k.value and i.customer_id = $3

-- identities --
-- What a customer can be found by.
select kind, value from identity where customer_id = $1 order by kind

-- owners --
-- Whose these identities are.
select i.kind, i.value, i.customer_id
  from unnest($1::text[], $2::text[]) as k (kind, value)
  join identity i on i.kind = k.kind and i.value = k.value

-- passports --
-- Who has passports of these numbers, and who issued each; null: not known.
select document_number, document_country, customer_id
  from customer
 where document_type = 'PA' and document_number = any($1::text[])

-- first_identity --
-- Whose any of these identities is, the first of them in the order given; $3 has the others.
select i.customer_id, i.kind
  from unnest($1::text[], $2::text[]) with ordinality as k (kind, value, n)
  join identity i on i.kind = k.kind and i.value = k.value
 where i.customer_id <> $3
 order by k.n
 limit 1

-- customer --
-- The customer $1 or, where that is null, whose the identity ($2, $3) is. Of somebody erased the
-- texts that everybody has are empty.
select customer_id, coalesce(document_type, '') as document_type,
       coalesce(document_number, '') as document_number, coalesce(email, '') as email, phone,
       first_names, last_names, gender, birth_date, country, city, document_country,
       missing_fields, created_at, erased_at, code_channel, code_to, code_until
  from customer
 where customer_id = coalesce($1::uuid, (select i.customer_id from identity i
                                          where i.kind = $2 and i.value = $3))

-- fitting --
-- Whose any of these identities is, in their order, then who has a passport of the number $3 (which
-- may be null) whatever country issued it; $4 of them at most.
select c.customer_id, c.document_type, c.document_number, c.email, c.phone, c.first_names,
       c.last_names, c.gender, c.birth_date, c.country, c.city, c.document_country,
       c.missing_fields, c.created_at, c.erased_at, c.code_channel, c.code_to, c.code_until
  from (select f.customer_id, min(f.n) as n
          from (select i.customer_id, k.n
                  from unnest($1::text[], $2::text[]) with ordinality as k (kind, value, n)
                  join identity i on i.kind = k.kind and i.value = k.value
                union all
                select p.customer_id, cardinality($1::text[]) + 1
                  from customer p
                 where p.document_type = 'PA' and p.document_number = $3) f
         group by f.customer_id) f
  join customer c on c.customer_id = f.customer_id
 where c.erased_at is null
 order by f.n, c.customer_id
 limit $4

-- lock_passport --
-- Until the end of the transaction nobody else writes a passport of this number.
select pg_advisory_xact_lock(hashtextextended('passport ' || $1::text, 0))

-- rival_passport --
-- Who has a passport of this number that may be the one of issuer $2, null: not known; not $3.
select customer_id
  from customer
 where document_type = 'PA' and document_number = $1 and customer_id <> $3
   and ($2::text is null or document_country is null)
 order by created_at, customer_id
 limit 1

-- lock_customer --
-- A customer whose profile is about to be changed; none for somebody erased.
select customer_id, document_type, document_number, email, phone, first_names, last_names, gender,
       birth_date, country, city, document_country, missing_fields, created_at, erased_at,
       code_channel, code_to, code_until
  from customer
 where customer_id = $1 and erased_at is null
   for update

-- erase_customer --
-- $2: the bits of all fields that a profile can lack. Gives a row where there was somebody.
update customer
   set document_type = null, document_number = null, email = null, phone = null,
       first_names = null, last_names = null, gender = null, birth_date = null, country = null,
       city = null, document_country = null, missing_fields = $2, erased_at = $3, code_channel = null, code_to = null,
       code_until = null
 where customer_id = $1 and erased_at is null
returning customer_id

-- erase_identities --
delete from identity where customer_id = $1

-- erase_gifts --
-- Whom gifts are for; that one was taken stands in the journal.
delete from gift_customer where customer_id = $1

-- gifts --
-- The gifts that a customer was named for (RED-3).
select i.item_id, i.name, b.name as brand
  from gift_customer g
  join item i on i.item_id = g.item_id
  join brand b on b.brand_id = i.brand_id
 where g.customer_id = $1
 order by i.item_id

-- postings --
-- All postings of a customer, oldest first, with the names of brands and stores for their ids.
select j.transaction_id, j.kind, j.refusal, j.asset, b.name as brand, s.name as store, j.amount,
       j.held_amount, j.balance, j.held, j.reference, j.invoice_number, j.bill_amount, b.currency,
       j.details, j.occurred_at, j.recorded_at
  from journal j
  left join brand b on b.brand_id = coalesce(nullif(j.brand_id, 0), nullif(j.asset, 0))
  left join store s on s.store_id = j.store_id
 where j.customer_id = $1
 order by j.recorded_at, j.asset, j.seq
