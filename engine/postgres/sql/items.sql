-- Items: their stock and their customers' turns (RED-5), whom gifts are for, and changes of them.

-- look --
-- What a redemption of one item needs to know. $1: item, $2: customer, $3: units to try, $4: stock.
select array(select k.unit from unnest($3::integer[]) as k (unit)
              where not exists (select from item_unit u
                                 where u.item_id = $1 and u.unit = k.unit)) as units,
       exists (select from item_unit u where u.item_id = $1 and u.unit > $4) as lowered,
       array(select t.turn from item_turn t
              where t.customer_id = $2 and t.item_id = $1 order by t.turn) as turns,
       exists (select from gift_customer g where g.customer_id = $2 and g.item_id = $1) as named

-- search --
-- Units that may be taken, from a number on and then from the beginning.
select unit from open_units($1, $2, $3) as open (unit) limit $4

-- standing --
-- How items stand for a customer. $1: customer, $2: items, $3: their stocks, or NULL where nobody
-- asks for it.
select k.item_id,
       k.stock is not null
         and not exists (select from open_units(k.item_id, k.stock, 1)) as sold_out,
       (select count(*) from item_turn t
         where t.customer_id = $1 and t.item_id = k.item_id) as turns,
       exists (select from gift_customer g
                where g.customer_id = $1 and g.item_id = k.item_id) as named
  from unnest($2::integer[], $3::integer[]) as k (item_id, stock)

-- taken --
-- How many units of items are taken.
select k.item_id, (select count(*) from item_unit u where u.item_id = k.item_id) as units
  from unnest($1::integer[]) as k (item_id)

-- item --
select item_id, kind, brand_id, name, points, coins, stock, customer_limit, starts_at, ends_at,
       segment, available, retired_at is not null as retired
  from item
 where item_id = $1

-- insert_item --
-- Within a change of the catalogue, which are made one after the other.
insert into item (item_id, kind, brand_id, name, points, coins, stock, customer_limit, starts_at,
                  ends_at, segment, available)
select coalesce(max(item_id), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 from item
returning item_id

-- update_item --
update item
   set name = $2, points = $3, coins = $4, stock = $5, customer_limit = $6, starts_at = $7,
       ends_at = $8, segment = $9, available = $10
 where item_id = $1

-- retire_item --
update item set retired_at = $2 where item_id = $1 and retired_at is null

-- unknown_customers --
-- How many of these are no customers.
select count(*) from unnest($1::uuid[]) as k (customer_id)
 where not exists (select from customer c
                    where c.customer_id = k.customer_id and c.erased_at is null)

-- gift_customers --
-- Whom a gift is for.
select customer_id from gift_customer where item_id = $1 order by customer_id

-- insert_gift_customers --
insert into gift_customer (item_id, customer_id)
select distinct $1::integer, k.customer_id from unnest($2::uuid[]) as k (customer_id)

-- delete_gift_customers --
delete from gift_customer where item_id = $1
