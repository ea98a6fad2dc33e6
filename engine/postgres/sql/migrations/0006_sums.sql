-- Sums over the journal, folded in the background, for settlement between brands and the reports.
--
-- Whatever is summed is said once, in the views of moves below: folding, the tail that is not folded
-- yet and the check against the journal all read them.

-- The calendar day of a moment in a country; coins have none of their own and live in Colombia.
-- engine/programme/calendar.py has the same offsets.
create function local_day(timestamptz, text) returns date
language sql immutable parallel safe as $$
select (($1 at time zone 'UTC')
        + case $2 when 'SV' then interval '-6 hours' when 'GT' then interval '-6 hours'
                  else interval '-5 hours' end)::date
$$;

-- What each posting moved between a customer and the account on the other side: available, held.
create view account_move as
select j.xid, j.recorded_at, j.asset, j.counter, j.counter_party as party,
       j.amount as available, j.held_amount as held
  from journal j
 where j.amount <> 0 or j.held_amount <> 0;

-- The lots that came into wallets and left them, with the sign of the move. What is held for a
-- payment is still owed, so a hold and what gives it back are no moves; a repayment is.
-- The day 0 is that of debts, see engine/codes.py.
create view lot_move as
select j.xid, j.recorded_at, j.asset, j.moved[i] & 4294967295 as issuer,
       (j.moved[i] >> 32)::integer as expires_day, j.moved[i + 1] as amount
  from journal j
 cross join lateral generate_series(1, array_length(j.moved, 1), 2) as i
 where j.counter <> {counter:none} or j.kind = {kind:repayment};

-- Whose coins went where: to the account `counter` of `party`, below zero where they came from it.
-- Where coins repaid a debt `counter` is 0, and `party` is the issuer that the debt was owed to: the
-- earliest lots repay the debts in their order, so what both have reached up to says who met whom.
-- No index begins with the asset: `+ 0` keeps the planner from reading the whole of one for it.
create view coin_move as
select j.xid, j.recorded_at, j.counter, m.issuer, m.party, m.coins
  from journal j
 cross join lateral (
       select j.moved[i] & 4294967295 as issuer, j.counter_party::bigint as party,
              -j.moved[i + 1] as coins
         from generate_series(1, array_length(j.moved, 1), 2) as i
        where j.counter <> {counter:none}
        union all
       select lot.issuer, debt.issuer,
              least(lot.reached, debt.reached)
              - greatest(lot.reached - lot.amount, debt.reached - debt.amount)
         from (select j.moved[i] & 4294967295 as issuer, -j.moved[i + 1] as amount,
                      (sum(-j.moved[i + 1]) over (order by i))::bigint as reached
                 from generate_series(1, array_length(j.moved, 1), 2) as i
                where j.moved[i + 1] < 0) lot
         join (select j.moved[i] & 4294967295 as issuer, j.moved[i + 1] as amount,
                      (sum(j.moved[i + 1]) over (order by i))::bigint as reached
                 from generate_series(1, array_length(j.moved, 1), 2) as i
                where j.moved[i + 1] > 0) debt
              on least(lot.reached, debt.reached)
                 > greatest(lot.reached - lot.amount, debt.reached - debt.amount)
        where j.kind = {kind:repayment}) m
 where j.asset + 0 = 0 and (j.counter <> {counter:none} or j.kind = {kind:repayment});

-- The sums, by the day of the business. Room is left in their pages, for those of today are written
-- again and again.
create table sum_of_accounts (
    day       date not null,
    asset     integer not null,
    counter   smallint not null,
    party     integer not null,
    available bigint not null,                  -- what customers got of it, available ...
    held      bigint not null,                  -- ... and held; the account got the opposite
    primary key (day, asset, counter, party)
) with (fillfactor = 70);

create table sum_of_lots (
    asset       integer not null,
    issuer      bigint not null,                -- of coins, as in the key of a lot; of points 0
    day         date not null,
    expires_day integer not null,
    amount      bigint not null,
    primary key (asset, issuer, day, expires_day)
) with (fillfactor = 70);

create table sum_of_coins (
    day     date not null,
    issuer  bigint not null,
    counter smallint not null,
    party   bigint not null,
    coins   bigint not null,
    primary key (day, issuer, counter, party)
) with (fillfactor = 70);

-- Which transactions wrote what was recorded in an hour: how rows of a part of a day are found.
create table hour_folded (
    hour      timestamptz primary key,
    xid_first bigint not null,
    xid_last  bigint not null
) with (fillfactor = 70);

-- How far the sums reach: they have every row of the transactions below `xid`, and no other.
-- `server` is the one whose transactions these are, for a restore into another one starts to count
-- anew.
create table fold (
    only_row boolean primary key default true check (only_row),
    xid      bigint not null,
    server   bigint not null
);
insert into fold (xid, server) select 0, c.system_identifier from pg_control_system() c;
