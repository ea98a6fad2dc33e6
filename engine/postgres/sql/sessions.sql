-- Signing in, and the sessions that come of it.

-- forget_tries --
-- Those of a day ago, and places that are open as wide as ever, which is $1 seconds after they are
-- open at all; several who do so at once do not wait for each other.
with places as (
    delete from sign_in_place
     where subject in (select subject from sign_in_place
                        where open_at < now() - make_interval(secs => $1::integer)
                        order by open_at limit 100
                          for update skip locked))
delete from sign_in_try
 where subject in (select subject from sign_in_try
                    where tried_at < now() - interval '1 day'
                    order by tried_at limit 100
                      for update skip locked)

-- count_try --
-- Count a try on a known device before it is evaluated; gives nothing while there is a pause,
-- which then goes on.
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

-- count_stranger --
-- The same for a stranger, whose try counts at the places too: the address $4 and the store $5. A
-- place takes $6 or $7 users at once, and another one after each $8 or $9 seconds: a user who fails
-- several times counts once there.
with place as (
    select * from (values (1, $4::bytea, $6::integer, make_interval(secs => $8::float8)),
                          (2, $5::bytea, $7::integer, make_interval(secs => $9::float8)))
             as place (at, subject, most, spacing)),
tried as (
    insert into sign_in_try as t (subject, failures, paused_until, tried_at)
    select $1, 1, case when $2::integer <= 1 then now() + interval '1 second' end, now()
     where not exists (select from sign_in_place join place using (subject) where open_at > now())
    on conflict (subject) do update
       set failures = t.failures + 1,
           paused_until = case when t.failures + 1 >= $2 then now() + make_interval(
                                   secs => least($3::integer, 2.0 ^ least(t.failures + 1 - $2, 30)))
                          end,
           tried_at = now()
     where t.paused_until is null or t.paused_until <= now()
    returning failures),
placed as (
    insert into sign_in_place as p (subject, open_at)
    select subject, now() - (most - 2) * spacing from place
     where exists (select from tried where failures = 1)
     order by at
    on conflict (subject) do update
       set open_at = greatest(excluded.open_at,
                              p.open_at + (select spacing from place where subject = p.subject))
     where p.open_at <= now()
    returning subject)
select exists (select from tried where failures > 1)
    or (select count(*) from tried) + (select count(*) from placed) = 3

-- give_back --
-- A try at a place that was no failure.
update sign_in_place set open_at = open_at - make_interval(secs => $2::float8) where subject = $1

-- pause --
-- Seconds to the end of the pauses, rounded up: of the user or device, the address and the store.
select ceil(extract(epoch from greatest(
           (select paused_until from sign_in_try where subject = $1),
           (select open_at from sign_in_place where subject = $2),
           (select open_at from sign_in_place where subject = $3)) - now()))::integer as seconds,
       ceil(extract(epoch from
           (select open_at from sign_in_place where subject = $2) - now()))::integer as of_address

-- knows --
-- Whether a user signed in on this device at this store.
select exists (select from sign_in_device d
                 join cashier c on c.cashier_id = d.cashier_id
                where d.device_id = $1 and d.store_id = $2 and c.brand_id = $3 and c.user_name = $4)

-- cashier --
-- Who signs in; the disabled too, so that they cost the same time.
select cashier_id, brand_id, store_id, user_name, name, password_hash, password_set_at, disabled_at
  from cashier
 where brand_id = $1 and user_name = $2

-- begin --
-- Begin a session unless the cashier was changed while the password was checked. The tries up to
-- now are forgiven, the device is known from now on, and the cashier's sessions from before $8 are
-- forgotten.
-- $1: session, $2: hash, $3: cashier, $4: the store, $5: now, $6: end, $7: when the password was
-- set, $9: of the tries, $10: the device.
with able as (
    select cashier_id, brand_id from cashier
     where cashier_id = $3 and password_set_at = $7 and disabled_at is null
       and (store_id is null or store_id = $4)
       for update),
forgiven as (
    delete from sign_in_try where subject = $9 and exists (select from able)),
forgotten as (
    delete from session
     where cashier_id = $3 and least(expires_at, ended_at) < $8),
known as (
    insert into sign_in_device (device_id, cashier_id, store_id, used_at)
    select $10, cashier_id, $4, now() from able
    on conflict (device_id, cashier_id, store_id) do update set used_at = now())
insert into session (session_id, secret_hash, cashier_id, brand_id, store_id, created_at, used_at,
                     expires_at)
select $1, $2, cashier_id, brand_id, $4, $5, now(), $6 from able
returning session_id

-- keep_newest --
-- Keep $2 sessions and $3 devices of a cashier: the oldest sessions end, the oldest devices are
-- forgotten.
with forgotten as (
    delete from sign_in_device
     where (device_id, store_id) in
           (select device_id, store_id from sign_in_device where cashier_id = $1
             order by used_at desc offset $3::integer
               for update skip locked)
       and cashier_id = $1)
update session set ended_at = now()
 where session_id in (select session_id from session
                       where cashier_id = $1 and ended_at is null and expires_at > now()
                       order by created_at desc, session_id offset $2::integer
                         for update skip locked)

-- rehash --
-- Keep the password by newer parameters, unless it was changed meanwhile.
update cashier set password_hash = $3 where cashier_id = $1 and password_hash = $2

-- session --
-- A session that is neither ended, nor idle for $2 seconds, nor of a cashier who may not work.
select s.session_id, s.secret_hash, s.cashier_id, s.brand_id, s.store_id, s.expires_at,
       c.user_name, c.name, extract(epoch from now() - s.used_at)::float8 as unused_s
  from session s
  join cashier c on c.cashier_id = s.cashier_id
 where s.session_id = $1 and s.ended_at is null and c.disabled_at is null
   and s.used_at > now() - make_interval(secs => $2::float8)

-- use --
update session set used_at = now() where session_id = $1 and used_at < now()

-- list --
-- Those that have not ended, by their ids after $3: of the brand $1, of the cashier $2; NULL: all.
select s.session_id, s.cashier_id, s.brand_id, s.store_id, s.created_at, s.used_at, s.expires_at,
       c.user_name, c.name
  from session s
  join cashier c on c.cashier_id = s.cashier_id
 where s.ended_at is null and s.expires_at > now() and c.disabled_at is null
   and s.used_at > now() - make_interval(secs => $5::float8)
   and ($1::integer is null or c.brand_id = $1)
   and ($2::integer is null or c.cashier_id = $2)
   and s.session_id > $3
 order by s.session_id
 limit $4

-- find --
-- A session by its id, ended or not, of the brand $2 and the cashier $3; NULL: of any.
select s.session_id, s.cashier_id, s.brand_id, s.store_id, s.created_at, s.used_at, s.expires_at,
       c.user_name, c.name
  from session s
  join cashier c on c.cashier_id = s.cashier_id
 where s.session_id = $1
   and ($2::integer is null or s.brand_id = $2)
   and ($3::integer is null or s.cashier_id = $3)

-- end --
update session set ended_at = $2 where session_id = $1 and ended_at is null
