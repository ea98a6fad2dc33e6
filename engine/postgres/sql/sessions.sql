-- Signing in, and the sessions that come of it.

-- forget_tries --
-- Those of a day ago; several who do so at once do not wait for each other.
delete from sign_in_try
 where subject in (select subject from sign_in_try
                    where tried_at < now() - interval '1 day'
                    order by tried_at limit 100
                      for update skip locked)

-- count_try --
-- Count a try before it is evaluated; gives nothing while there is a pause, which then goes on.
-- $2: tries without a pause; each that is over sets one, of 1, 2, 4 … to $3 seconds.
insert into sign_in_try as t (subject, failures, paused_until, tried_at)
values ($1, 1, case when $2::integer <= 1 then now() + interval '1 second' end, now())
on conflict (subject) do update
   set failures = t.failures + 1,
       paused_until = case when t.failures + 1 >= $2 then now() + make_interval(
                               secs => least($3::integer, 2.0 ^ least(t.failures + 1 - $2, 30))) end,
       tried_at = now()
 where t.paused_until is null or t.paused_until <= now()
returning failures

-- pause --
-- Seconds to the end of the pause, rounded up.
select ceil(extract(epoch from paused_until - now()))::integer from sign_in_try where subject = $1

-- cashier --
-- Who signs in; the disabled too, so that they cost the same time.
select cashier_id, brand_id, store_id, user_name, name, password_hash, password_set_at, disabled_at
  from cashier
 where brand_id = $1 and user_name = $2

-- begin --
-- Begin a session unless the cashier was changed while the password was checked. The tries up to
-- now are forgiven, and the cashier's sessions from before $8 forgotten.
-- $1: session, $2: hash, $3: cashier, $4: the store, $5: now, $6: end, $7: when the password was
-- set, $9: of the tries.
with able as (
    select cashier_id, brand_id from cashier
     where cashier_id = $3 and password_set_at = $7 and disabled_at is null
       and (store_id is null or store_id = $4)
       for update),
forgiven as (
    delete from sign_in_try where subject = $9 and exists (select from able)),
forgotten as (
    delete from session
     where cashier_id = $3 and least(expires_at, ended_at) < $8)
insert into session (session_id, secret_hash, cashier_id, brand_id, store_id, created_at, expires_at)
select $1, $2, cashier_id, brand_id, $4, $5, $6 from able
returning session_id

-- rehash --
-- Keep the password by newer parameters, unless it was changed meanwhile.
update cashier set password_hash = $3 where cashier_id = $1 and password_hash = $2

-- session --
-- A session that is neither ended nor of a cashier who may not work.
select s.session_id, s.secret_hash, s.cashier_id, s.brand_id, s.store_id, s.expires_at,
       c.user_name, c.name
  from session s
  join cashier c on c.cashier_id = s.cashier_id
 where s.session_id = $1 and s.ended_at is null and c.disabled_at is null

-- end --
update session set ended_at = $2 where session_id = $1 and ended_at is null
