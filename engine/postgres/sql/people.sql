-- Customers and their identities.

-- insert_customer --
insert into customer (customer_id, document_type, document_number, email, phone, first_names,
                      last_names, gender, birth_date, country, city, missing_fields, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- insert_identities --
-- Sorted by the caller, so that two registrations of the same person never deadlock.
insert into identity (kind, value, customer_id)
select k.kind, k.value, $3 from unnest($1::text[], $2::text[]) with ordinality as k (kind, value, n)
 order by k.n

-- identity --
-- Whose identity this is.
select customer_id from identity where kind = $1 and value = $2

-- first_identity --
-- Whose any of these identities is, the first of them in the order given.
select i.customer_id, i.kind
  from unnest($1::text[], $2::text[]) with ordinality as k (kind, value, n)
  join identity i on i.kind = k.kind and i.value = k.value
 order by k.n
 limit 1

-- customer --
select customer_id, document_type, document_number, email, phone, first_names, last_names, gender,
       birth_date, country, city, missing_fields, created_at
  from customer
 where customer_id = $1
