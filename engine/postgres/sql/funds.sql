-- The funds of prepaid issuers (COI-2). A transaction that locks several rows locks funds before allotments,
-- and allotments in the order of their ids.

-- fund --
-- What was deposited, and what of it is not issued: in the fund or in allotments that are open.
select f.prepaid_since is not null as prepaid,
       (select coalesce(sum(d.coins), 0) from issuer_deposit d
         where d.brand_id = f.brand_id)::bigint as deposited,
       f.coins + (select coalesce(sum(a.coins - a.drawn), 0) from issuer_allotment a
                   where a.brand_id = f.brand_id and a.closed_at is null)::bigint as balance
  from issuer_fund f
 where f.brand_id = $1

-- switch --
-- $2: from when on the issuer is prepaid, or NULL; where it is already, since then.
insert into issuer_fund (brand_id, prepaid_since) values ($1, $2)
    on conflict (brand_id) do update
   set prepaid_since = case when excluded.prepaid_since is not null
                            then coalesce(issuer_fund.prepaid_since, excluded.prepaid_since) end

-- deposit --
-- A deposit by its id.
select brand_id, coins, reference, fingerprint, deposited_at from issuer_deposit where deposit_id = $1

-- insert_deposit --
insert into issuer_deposit (deposit_id, brand_id, coins, reference, fingerprint, deposited_at,
                            principal)
values ($1, $2, $3, $4, $5, $6, $7)

-- add --
insert into issuer_fund (brand_id, coins) values ($1, $2)
    on conflict (brand_id) do update set coins = issuer_fund.coins + excluded.coins

-- lock --
-- The coins of a fund that no allotment has. While its row is locked, its allotments are neither
-- given coins nor closed.
select coins from issuer_fund where brand_id = $1 for update

-- take_back --
-- Close the allotments that were given nothing for $2 seconds; gives what was not drawn from each.
with gone as (
    select allotment_id, coins - drawn as coins
      from issuer_allotment
     where brand_id = $1 and closed_at is null
       and allotted_at < clock_timestamp() - $2::double precision * interval '1 second'
     order by allotment_id
       for update)
update issuer_allotment a
   set coins = a.drawn, closed_at = clock_timestamp()
  from gone
 where a.allotment_id = gone.allotment_id
returning a.allotment_id, gone.coins

-- elsewhere --
-- What allotments have that are open.
select coalesce(sum(coins - drawn), 0)::bigint
  from issuer_allotment
 where brand_id = $1 and closed_at is null

-- allot --
-- Give coins to an allotment, and open it where there is none; gives nothing where it is closed.
insert into issuer_allotment (allotment_id, brand_id, coins, allotted_at)
values ($1, $2, $3, clock_timestamp())
    on conflict (allotment_id) do update
   set coins = issuer_allotment.coins + excluded.coins, allotted_at = excluded.allotted_at
 where issuer_allotment.closed_at is null
returning allotment_id

-- leave --
-- What is left in a fund.
update issuer_fund set coins = $2 where brand_id = $1
