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
