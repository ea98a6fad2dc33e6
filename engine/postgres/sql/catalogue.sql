-- What brands configure and who holds keys: read whole into a worker's memory.

-- version --
-- Moves with every change of the catalogue.
select version from catalogue_version

-- brands --
-- Retired ones too, here and below: the books speak of them, and what is theirs can be read.
select b.brand_id, b.name, b.country, b.currency, b.retired_at is not null as retired,
       f.prepaid_since is not null as prepaid,
       (select coalesce(sum(d.coins), 0) from issuer_deposit d
         where d.brand_id = f.brand_id)::bigint as deposited
  from brand b
  left join issuer_fund f on f.brand_id = b.brand_id

-- programmes --
-- Oldest first.
select brand_id, version, effective_from, points, points_amount, points_validity_days, coins,
       coins_amount, issuer, receiver
  from programme
 order by brand_id, effective_from

-- stores --
select store_id, brand_id, name, city, accepts_coins, invoice_scope,
       retired_at is not null as retired
  from store

-- earlier_scopes --
-- The scopes that stores had before the one in force, the newest first.
select store_id, scope, until from invoice_scope_change order by until desc

-- partners --
select partner_id as party_id, name, retired_at is not null as retired from partner

-- rates --
-- What the points of partners become, oldest first.
select partner_id, effective_from, coins, points from partner_rate order by partner_id, effective_from

-- organisations --
select organisation_id as party_id, name, retired_at is not null as retired from organisation

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
