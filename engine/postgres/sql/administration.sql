-- What administration changes: one transaction a change, begun with `touch` of the catalogue, whose
-- row lock makes the changes one after the other; so the next id is the largest one and one.

-- touch --
-- Move the catalogue's version; gives the new one. Its row stays locked to the end.
update catalogue_version set version = version + 1 returning version

-- insert_change --
-- Who changed what; the notice reaches the listening workers with the commit.
with told as (select pg_notify('leal_catalogue', ''))
insert into change (changed_at, principal, action, subject, content)
select $1, $2, $3, $4, $5 from told

-- insert_brand --
insert into brand (brand_id, name, country, currency)
select coalesce(max(brand_id), 0) + 1, $1, $2, $3 from brand
returning brand_id

-- update_brand --
update brand set name = $2 where brand_id = $1 returning brand_id

-- retire_brand --
update brand set retired_at = $2 where brand_id = $1 and retired_at is null

-- insert_store --
insert into store (store_id, brand_id, name, city, accepts_coins, invoice_scope)
select coalesce(max(store_id), 0) + 1, $1, $2, $3, $4, $5 from store
returning store_id

-- update_store --
-- NULL leaves a column as it is. A scope that is replaced is kept, with $6 as its end.
with replaced as (
    insert into invoice_scope_change (store_id, until, scope)
    select store_id, $6, invoice_scope from store where store_id = $1 and invoice_scope <> $5)
update store
   set name = coalesce($2, name), city = coalesce($3, city),
       accepts_coins = coalesce($4, accepts_coins),
       invoice_scope = coalesce($5, invoice_scope)
 where store_id = $1

-- retire_store --
update store set retired_at = $2 where store_id = $1 and retired_at is null

-- coins_at --
-- How a brand stands with coins at a moment; nothing before its first programme.
select coins, coins_amount, issuer, receiver
  from programme
 where brand_id = $1 and effective_from <= $2
 order by effective_from desc
 limit 1

-- insert_programme --
-- Its number is one that no version of the brand has had.
insert into programme (brand_id, version, effective_from, points, points_amount,
                       points_validity_days, coins, coins_amount, issuer, receiver)
select b.brand_id,
       1 + greatest(b.version_withdrawn, (select max(p.version) from programme p
                                           where p.brand_id = b.brand_id)),
       $2, $3, $4, $5, $6, $7, $8, $9
  from brand b
 where b.brand_id = $1
returning version

-- delete_programme --
-- Only what is not in force yet; gives nothing where it is.
with gone as (
    delete from programme
     where brand_id = $1 and version = $2 and effective_from > $3
    returning brand_id, version)
update brand b
   set version_withdrawn = greatest(b.version_withdrawn, gone.version)
  from gone
 where b.brand_id = gone.brand_id
returning b.brand_id

-- insert_partner --
insert into partner (partner_id, name)
select coalesce(max(partner_id), 0) + 1, $1 from partner
returning partner_id

-- update_partner --
-- NULL leaves the name as it is.
update partner set name = coalesce($2, name) where partner_id = $1

-- insert_rate --
-- In force from now on.
insert into partner_rate (partner_id, effective_from, coins, points) values ($1, $2, $3, $4)

-- retire_partner --
update partner set retired_at = $2 where partner_id = $1 and retired_at is null

-- insert_organisation --
insert into organisation (organisation_id, name)
select coalesce(max(organisation_id), 0) + 1, $1 from organisation
returning organisation_id

-- update_organisation --
update organisation set name = $2 where organisation_id = $1

-- retire_organisation --
update organisation set retired_at = $2 where organisation_id = $1 and retired_at is null
