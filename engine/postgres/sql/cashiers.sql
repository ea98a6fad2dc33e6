-- Cashiers, as their brand's administrator sees and changes them.

-- insert --
insert into cashier (brand_id, store_id, user_name, name, password_hash, password_set_at, created_at)
values ($1, $2, $3, $4, $5, $6, $6)
returning cashier_id, brand_id, store_id, user_name, name, password_set_at, disabled_at, created_at

-- list --
select cashier_id, brand_id, store_id, user_name, name, password_set_at, disabled_at, created_at
  from cashier
 where brand_id = $1

-- cashier --
select cashier_id, brand_id, store_id, user_name, name, password_set_at, disabled_at, created_at
  from cashier
 where cashier_id = $1 and brand_id = $2

-- update --
update cashier set name = $2, store_id = $3, disabled_at = $4 where cashier_id = $1

-- set_password --
update cashier set password_hash = $2, password_set_at = $3
 where cashier_id = $1
returning cashier_id, brand_id, store_id, user_name, name, password_set_at, disabled_at, created_at

-- end_sessions --
-- $3: but not those at this store; NULL ends all.
update session set ended_at = $2
 where cashier_id = $1 and ended_at is null and expires_at > $2
   and store_id is distinct from $3::integer
returning session_id

-- forget_tries --
-- Who was slowed down may try at once again.
delete from sign_in_try where subject = $1

-- forget_devices --
delete from sign_in_device where cashier_id = $1
