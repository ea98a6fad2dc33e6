-- What brands configure and who holds keys: read whole into a worker's memory.

-- version --
-- Moves with every change of the catalogue.
select version from catalogue_version

-- brands --
select brand_id, name, country, currency from brand

-- programmes --
-- Oldest first.
select brand_id, effective_from, points, points_amount, points_validity_days, coins, coins_amount,
       issuer, receiver
  from programme
 order by brand_id, effective_from

-- stores --
select store_id, brand_id, name, city, accepts_coins from store

-- items --
-- Retired ones too: who retries a redemption is answered from the books.
select item_id, kind, brand_id, name, points, coins, stock, customer_limit, starts_at, ends_at,
       segment, available, retired_at is not null as retired
  from item

-- keys --
-- Keys that are not revoked.
select key_id, secret_hash, role, brand_id, store_id, principal_id
  from api_key
 where revoked_at is null

-- touch --
-- Tell every worker that the catalogue changed; goes into the transaction that changed it.
update catalogue_version set version = version + 1

-- insert_key --
-- $8: whose key it is; NULL makes a new principal.
insert into api_key (key_id, secret_hash, role, brand_id, store_id, name, created_at, principal_id)
values ($1, $2, $3, $4, $5, $6, $7, coalesce($8, $1))

-- revoke_key --
-- Gives the key's id where there was something to revoke.
update api_key set revoked_at = $2 where key_id = $1 and revoked_at is null returning key_id

-- list_keys --
select key_id, role, brand_id, store_id, name, created_at, revoked_at
  from api_key
 order by created_at, key_id
