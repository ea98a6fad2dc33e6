-- Codes of payments: what was sent, and what was typed wrong.

-- mark --
-- Remember that a code went out; those of $3 seconds ago are forgotten, for they are over.
with forgotten as (
    delete from sent_code
     where (customer_id, transaction_id) in (
           select customer_id, transaction_id from sent_code
            where sent_at < now() - make_interval(secs => $3::integer)
            order by sent_at limit 100
              for update skip locked))
insert into sent_code values ($1, $2, now())
on conflict do nothing

-- is_sent --
select exists (select from sent_code where customer_id = $1 and transaction_id = $2)

-- failed --
-- How many wrong codes the last $4 seconds saw of a cashier, at a store and at a brand, each counted
-- up to its cap. $1: brand, $2: store, $3: cashier or 0, $5, $6, $7: caps.
select (select count(*) from (
               select from failed_code
                where cashier_id = $3 and cashier_id > 0
                  and failed_at > now() - make_interval(secs => $4::integer)
                limit $5::integer) c) as cashier,
       (select count(*) from (
               select from failed_code
                where store_id = $2 and failed_at > now() - make_interval(secs => $4::integer)
                limit $6::integer) s) as store,
       (select count(*) from (
               select from failed_code
                where brand_id = $1 and failed_at > now() - make_interval(secs => $4::integer)
                limit $7::integer) b) as brand

-- full_for --
-- Seconds until the cap of $5 wrong codes in $4 seconds leaves room again, at a brand or, where $2
-- or $3 is not 0, at its store or of its cashier.
select ceil(extract(epoch from failed_at - now()))::integer + $4::integer
  from failed_code
 where brand_id = $1 and ($2::integer = 0 or store_id = $2) and ($3::integer = 0 or cashier_id = $3)
 order by failed_at desc
offset $5::integer - 1
 limit 1

-- forget_failed --
-- Those that are out of the window; several who do so at once do not wait for each other.
delete from failed_code
 where (brand_id, transaction_id) in (
       select brand_id, transaction_id from failed_code
        where brand_id = $1 and failed_at < now() - make_interval(secs => $2::integer)
        order by failed_at limit 100
          for update skip locked)
