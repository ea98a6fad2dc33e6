-- What loading the demo network needs beside COPY.

-- is_empty --
-- No brand, so no network has been made here.
select not exists (select from brand);

-- move_catalogue --
-- Workers that hold an older version read the catalogue again.
update catalogue_version set version = version + 1;

-- first_brand --
-- Tells the demo network from another one.
select name from brand order by brand_id limit 1

-- insert_rewards --
insert into item (item_id, kind, brand_id, name, points, coins)
select i.item_id, 'reward', i.brand_id, i.name, i.points, 0
  from unnest($1::integer[], $2::integer[], $3::text[], $4::bigint[])
       as i (item_id, brand_id, name, points)

-- insert_partner_rates --
-- A coin for each point, from the beginning.
insert into partner_rate (partner_id, effective_from, coins, points)
select partner_id, $1, 1, 1 from partner

-- insert_cashier --
-- Or, where the database has them from a data folder that is gone, a password that is known again.
insert into cashier (brand_id, store_id, user_name, name, password_hash, password_set_at, created_at)
values ($1, $2, $3, $4, $5, $6, $6)
on conflict (brand_id, user_name) do update
   set store_id = excluded.store_id, password_hash = excluded.password_hash,
       password_set_at = excluded.password_set_at, disabled_at = null
