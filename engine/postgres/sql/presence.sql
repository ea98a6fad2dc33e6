-- Presence: QRs of the customer's app that were looked up, and those that have paid (COI-10).

-- look_up --
-- The store that a QR serves, which is $3 where none has looked it up before, and whether it has
-- paid. $1: customer, $2: second of issue, $4: seconds after which a QR is forgotten.
with forgotten as (
    delete from qr_look_up
     where (customer_id, issued_at) in (
           select customer_id, issued_at from qr_look_up
            where issued_at < $2::bigint - $4::bigint
            order by issued_at limit 100
              for update skip locked))
insert into qr_look_up as kept values ($1, $2, $3)
on conflict (customer_id, issued_at) do update set store_id = kept.store_id
returning store_id, exists (select from qr_use u
                             where u.customer_id = $1 and u.issued_at = $2) as used

-- standing --
-- The store that a QR serves, null where none has looked it up, and whether it has paid.
select (select store_id from qr_look_up where customer_id = $1 and issued_at = $2) as store_id,
       exists (select from qr_use where customer_id = $1 and issued_at = $2) as used

-- seconds_taken --
-- The seconds from $2 to $3 of which the customer's QR was looked up or has paid.
select issued_at from qr_look_up where customer_id = $1 and issued_at between $2 and $3
 union
select issued_at from qr_use where customer_id = $1 and issued_at between $2 and $3
