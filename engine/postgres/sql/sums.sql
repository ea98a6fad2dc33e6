-- Sums over the journal: how they are folded, read and held against it. What is summed stands in
-- the views account_move, lot_move and coin_move; see migrations/0006_sums.sql.
--
-- Rows are summed by the hour first: no country's day begins within one, so days are worked out
-- seldom. By date_bin, for date_trunc looks up a time zone for each row.

-- reach --
-- How far the sums reach, below which transaction all have ended, and whether this is their server.
select f.xid, pg_snapshot_xmin(pg_current_snapshot())::text::bigint as ended,
       f.server = c.system_identifier as at_home
  from fold f, pg_control_system() c

-- waiting --
-- The rows of each transaction from $1 to before $2, in their order, by the hour of the recording: of
-- the first $3 rows, or of all where that is NULL.
select j.xid, date_bin('1 hour', j.recorded_at, 'epoch') as hour, count(*) as rows,
       min(j.recorded_at) as recorded_at
  from (select j.xid, j.recorded_at
          from journal j
         where j.xid >= $1 and j.xid < $2
         order by j.xid
         limit $3) j
 group by 1, 2
 order by 1, 2

-- take --
-- The turn to fold from $1 on: nothing where another one has it, or has done it.
select true from fold where xid = $1 for update skip locked

-- fold_accounts --
insert into sum_of_accounts as s (day, asset, counter, party, available, held)
select local_day(m.hour, b.country) as day, m.asset, m.counter, m.party, sum(m.available),
       sum(m.held)
  from (select date_bin('1 hour', m.recorded_at, 'epoch') as hour, m.asset, m.counter, m.party,
               sum(m.available) as available, sum(m.held) as held
          from account_move m
         where m.xid >= $1 and m.xid < $2
         group by 1, 2, 3, 4) m
  left join brand b on b.brand_id = m.asset
 group by 1, 2, 3, 4
    on conflict (day, asset, counter, party)
    do update set available = s.available + excluded.available, held = s.held + excluded.held

-- fold_lots --
insert into sum_of_lots as s (asset, issuer, day, expires_day, amount)
select m.asset, m.issuer, local_day(m.hour, b.country) as day, m.expires_day, sum(m.amount)
  from (select date_bin('1 hour', m.recorded_at, 'epoch') as hour, m.asset, m.issuer, m.expires_day,
               sum(m.amount) as amount
          from lot_move m
         where m.xid >= $1 and m.xid < $2
         group by 1, 2, 3, 4) m
  left join brand b on b.brand_id = m.asset
 group by 1, 2, 3, 4
    on conflict (asset, issuer, day, expires_day)
    do update set amount = s.amount + excluded.amount

-- fold_coins --
insert into sum_of_coins as s (day, issuer, counter, party, coins)
select local_day(m.hour, null) as day, m.issuer, m.counter, m.party, sum(m.coins)
  from (select date_bin('1 hour', m.recorded_at, 'epoch') as hour, m.issuer, m.counter, m.party,
               sum(m.coins) as coins
          from coin_move m
         where m.xid >= $1 and m.xid < $2
         group by 1, 2, 3, 4) m
 group by 1, 2, 3, 4
    on conflict (day, issuer, counter, party)
    do update set coins = s.coins + excluded.coins

-- fold_hours --
-- $1: hours, $2, $3: the first and the last transaction that wrote what was recorded in each.
insert into hour_folded as h (hour, xid_first, xid_last)
select * from unnest($1::timestamptz[], $2::bigint[], $3::bigint[])
    on conflict (hour)
    do update set xid_first = least(h.xid_first, excluded.xid_first),
                  xid_last = greatest(h.xid_last, excluded.xid_last)

-- move_on --
update fold set xid = $1

-- strangers --
-- Whether transactions of another server stand in the journal that this one has yet to count to.
select f.server <> c.system_identifier as moved,
       f.xid > s.ended or exists (select from journal j where j.xid >= s.ended) as ahead
  from fold f, pg_control_system() c,
       (select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as ended) s

-- lock_journal --
lock table fold, journal in share row exclusive mode

-- stamp --
-- Rows of before a restore get numbers below those of all transactions: one for each page.
update journal set xid = -1 - (ctid::text::point)[0]::bigint

-- forget --
truncate sum_of_accounts, sum_of_lots, sum_of_coins, hour_folded

-- begin_anew --
update fold f set xid = coalesce((select min(j.xid) from journal j), 0)

-- settle_here --
update fold f set server = c.system_identifier from pg_control_system() c

-- tail --
-- What is not folded yet: how many rows, and when the first of them was recorded.
select count(*) as rows, min(j.recorded_at) as recorded_at, now() as at
  from journal j where j.xid >= $1

-- hours --
-- Which transactions wrote the rows of the last day before $1.
select min(h.xid_first) as first, max(h.xid_last) as last
  from hour_folded h
 where h.hour > $1::timestamptz - interval '25 hours' and h.hour <= $1

-- settlement --
-- Whose coins went where. $1: how far the sums reach. $2, $3: from this day, or from this moment on;
-- $4, $5: to before this day, or before this moment. $6, $7 and $8, $9: the transactions that wrote
-- the days of the two moments. $10: only what this brand takes part in, or NULL.
select s.issuer, s.counter, s.party, sum(s.coins)::bigint as coins
  from (
       select s.issuer, s.counter, s.party, s.coins
         from sum_of_coins s
        where s.day >= coalesce($2, local_day($3, null))
          and s.day < coalesce($4, local_day($5, null))
        union all
       select m.issuer, m.counter, m.party, m.coins
         from coin_move m
        where m.xid >= $1
          and (local_day(m.recorded_at, null) >= $2 or m.recorded_at >= $3)
          and (local_day(m.recorded_at, null) < $4 or m.recorded_at < $5)
        union all
       select m.issuer, m.counter, m.party, m.coins
         from coin_move m
        where m.xid >= $8 and m.xid <= $9 and m.xid < $1
          and local_day(m.recorded_at, null) = local_day($5, null) and m.recorded_at < $5
        union all
       select m.issuer, m.counter, m.party, -m.coins
         from coin_move m
        where m.xid >= $6 and m.xid <= $7 and m.xid < $1
          and local_day(m.recorded_at, null) = local_day($3::timestamptz, null)
          and m.recorded_at < $3) s
 where $10::integer is null or s.issuer = $10
    or (s.counter in ({counter:none}, {counter:coins_settled}) and s.party = $10)
 group by s.issuer, s.counter, s.party
having sum(s.coins) <> 0
 order by s.issuer, s.counter, s.party

-- outstanding --
-- The lots of asset $6 and issuer $7 by their last day. $1: how far the sums reach. $2, $3: up to
-- before this day, or before this moment. $4, $5: the transactions that wrote the day of the moment.
-- For `+ 0` see the view coin_move.
select s.expires_day, sum(s.amount)::bigint as amount
  from (
       select s.expires_day, s.amount
         from sum_of_lots s
         left join brand b on b.brand_id = s.asset
        where s.asset = $6 and s.issuer = $7 and s.day < coalesce($2, local_day($3, b.country))
        union all
       select m.expires_day, m.amount
         from lot_move m
         left join brand b on b.brand_id = m.asset
        where m.xid >= $1
          and (local_day(m.recorded_at, b.country) < $2 or m.recorded_at < $3)
          and m.asset + 0 = $6 and m.issuer = $7
        union all
       select m.expires_day, m.amount
         from lot_move m
         left join brand b on b.brand_id = m.asset
        where m.xid >= $4 and m.xid <= $5 and m.xid < $1
          and local_day(m.recorded_at, b.country) = local_day($3::timestamptz, b.country)
          and m.recorded_at < $3
          and m.asset + 0 = $6 and m.issuer = $7) s
 group by s.expires_day
having sum(s.amount) <> 0
 order by s.expires_day

-- accounts --
-- What customers got of each account; see `outstanding` for $1 to $5.
select s.asset, s.counter, s.party, sum(s.available)::bigint as available,
       sum(s.held)::bigint as held
  from (
       select s.asset, s.counter, s.party, s.available, s.held
         from sum_of_accounts s
         left join brand b on b.brand_id = s.asset
        where s.day < coalesce($2, local_day($3, b.country))
        union all
       select m.asset, m.counter, m.party, m.available, m.held
         from account_move m
         left join brand b on b.brand_id = m.asset
        where m.xid >= $1
          and (local_day(m.recorded_at, b.country) < $2 or m.recorded_at < $3)
        union all
       select m.asset, m.counter, m.party, m.available, m.held
         from account_move m
         left join brand b on b.brand_id = m.asset
        where m.xid >= $4 and m.xid <= $5 and m.xid < $1
          and local_day(m.recorded_at, b.country) = local_day($3::timestamptz, b.country)
          and m.recorded_at < $3) s
 group by s.asset, s.counter, s.party
 order by s.asset, s.counter, s.party

-- lots_in_all --
-- What the lots of all customers come to, by asset; see `outstanding` for $1 to $5.
select s.asset, sum(s.amount)::bigint as amount
  from (
       select s.asset, s.amount
         from sum_of_lots s
         left join brand b on b.brand_id = s.asset
        where s.day < coalesce($2, local_day($3, b.country))
        union all
       select m.asset, m.amount
         from lot_move m
         left join brand b on b.brand_id = m.asset
        where m.xid >= $1
          and (local_day(m.recorded_at, b.country) < $2 or m.recorded_at < $3)
        union all
       select m.asset, m.amount
         from lot_move m
         left join brand b on b.brand_id = m.asset
        where m.xid >= $4 and m.xid <= $5 and m.xid < $1
          and local_day(m.recorded_at, b.country) = local_day($3::timestamptz, b.country)
          and m.recorded_at < $3) s
 group by s.asset

-- check_accounts --
-- Sums that the journal's rows below $1 do not give, and what these give.
select day, asset, counter, party, s.available, s.held, coalesce(j.available, 0) as rows_available,
       coalesce(j.held, 0) as rows_held
  from sum_of_accounts s
  full join (select local_day(m.recorded_at, b.country) as day, m.asset, m.counter, m.party,
                    sum(m.available) as available, sum(m.held) as held
               from account_move m
               left join brand b on b.brand_id = m.asset
              where m.xid < $1
              group by 1, 2, 3, 4) j using (day, asset, counter, party)
 where (coalesce(s.available, 0), coalesce(s.held, 0))
       <> (coalesce(j.available, 0), coalesce(j.held, 0))
 order by day, asset, counter, party

-- check_lots --
select day, asset, issuer, expires_day, s.amount, coalesce(j.amount, 0) as rows_amount
  from sum_of_lots s
  full join (select local_day(m.recorded_at, b.country) as day, m.asset, m.issuer, m.expires_day,
                    sum(m.amount) as amount
               from lot_move m
               left join brand b on b.brand_id = m.asset
              where m.xid < $1
              group by 1, 2, 3, 4) j using (asset, issuer, day, expires_day)
 where coalesce(s.amount, 0) <> coalesce(j.amount, 0)
 order by day, asset, issuer, expires_day

-- check_coins --
select day, issuer, counter, party, s.coins, coalesce(j.coins, 0) as rows_coins
  from sum_of_coins s
  full join (select local_day(m.recorded_at, null) as day, m.issuer, m.counter, m.party,
                    sum(m.coins) as coins
               from coin_move m
              where m.xid < $1
              group by 1, 2, 3, 4) j using (day, issuer, counter, party)
 where coalesce(s.coins, 0) <> coalesce(j.coins, 0)
 order by day, issuer, counter, party

-- check_hours --
-- Hours that do not name the transactions below $1 that wrote them, which a report would not find.
select j.hour
  from (select date_bin('1 hour', j.recorded_at, 'epoch') as hour, min(j.xid) as first,
               max(j.xid) as last
          from journal j
         where j.xid < $1
         group by 1) j
  left join hour_folded h on h.hour = j.hour and h.xid_first <= j.first and h.xid_last >= j.last
 where h.hour is null
 order by j.hour
