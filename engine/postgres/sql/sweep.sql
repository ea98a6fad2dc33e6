-- The background sweep of what is due; see engine/network/sweeper.py.

-- lease --
-- Whether worker $1 sweeps for the next $2 seconds: it did before, or nobody does.
update sweep
   set worker = $1, lease_until = now() + $2 * interval '1 second'
 where worker = $1 or lease_until is null or lease_until < now()
returning true

-- state --
select customer_id, asset, began_at, ended_at from sweep

-- begin --
-- Begin a round where none is under way and the last one began at least $1 seconds ago.
update sweep
   set customer_id = null, asset = null, began_at = now(), ended_at = null
 where (began_at is null or (ended_at is not null
                             and began_at <= now() - $1::double precision * interval '1 second'))
returning true

-- page --
-- The next $3 wallets after ($1, $2), and of each the last day of its first lot and its holds.
select w.customer_id, w.asset, h.lots[1] >> 32 as first_day, h.holds is not null as has_holds
  from wallet w
 cross join lateral (
       select j.lots, j.holds
         from journal j
        where j.customer_id = w.customer_id and j.asset = w.asset
        order by j.seq desc
        limit 1) h
 where (w.customer_id, w.asset) > ($1::uuid, $2::integer)
 order by w.customer_id, w.asset
 limit $3

-- move --
-- Go on from ($1, $2) to ($3, $4), unless somebody else did; at the end of the round where $5.
update sweep
   set customer_id = $3, asset = $4, ended_at = case when $5::boolean then now() end
 where customer_id is not distinct from $1 and asset is not distinct from $2

-- holds --
-- The first $3 holds placed after $1 and not after $2, whether each is still open, and all that were
-- placed in the same moment as the last of them.
select j.customer_id, j.recorded_at,
       not exists (select from journal e
                    where e.customer_id = j.customer_id and e.reference = j.transaction_id
                      and e.leg = 0 and e.held_amount < 0) as is_open
  from (select customer_id, transaction_id, recorded_at
          from journal
         where kind = {kind:hold} and refusal = {refusal:none}
           and recorded_at > $1 and recorded_at <= $2
         order by recorded_at
         fetch first $3 rows with ties) j
 order by j.recorded_at

-- wallets --
-- About how many wallets there are, for a progress bar.
select greatest(reltuples, 0)::bigint from pg_class where oid = 'wallet'::regclass
