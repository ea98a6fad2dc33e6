-- API keys, made and revoked; workers hold the valid ones in memory, see catalogue.sql.

-- brand --
-- A brand that a key is to be of.
select retired_at is not null as retired from brand where brand_id = $1

-- store --
-- A store that a key is to be of; it is retired with its brand.
select s.brand_id, s.retired_at is not null or b.retired_at is not null as retired
  from store s
  join brand b on b.brand_id = s.brand_id
 where s.store_id = $1

-- insert --
-- $8: whose key it is; NULL makes a new principal.
insert into api_key (key_id, secret_hash, role, brand_id, store_id, name, created_at, principal_id)
values ($1, $2, $3, $4, $5, $6, $7, coalesce($8, $1))
returning key_id, principal_id, role, brand_id, store_id, name, created_at, revoked_at

-- revoke --
-- Gives the key where there was something to revoke.
update api_key set revoked_at = $2
 where key_id = $1 and revoked_at is null
returning key_id, principal_id, role, brand_id, store_id, name, created_at, revoked_at

-- live --
-- The valid keys of a principal.
select key_id from api_key where principal_id = $1 and revoked_at is null

-- network_has_key --
-- Whether anybody can still do all.
select exists (select from api_key where role = 'network' and revoked_at is null)

-- key --
select key_id, principal_id, role, brand_id, store_id, name, created_at, revoked_at
  from api_key
 where key_id = $1

-- list --
select key_id, principal_id, role, brand_id, store_id, name, created_at, revoked_at
  from api_key
 order by created_at, key_id
