-- Prepaid issuers: coins that were paid for before they are issued (COI-2). What a brand has
-- deposited is in its fund or in allotments; each coin that it issues is drawn from an allotment.

-- The fund of an issuer. Sales do not touch it: a worker takes an allotment of it now and then.
create table issuer_fund (
    brand_id      integer primary key,
    prepaid_since timestamptz,                  -- NULL while the issuer is postpaid
    coins         bigint not null default 0,    -- that no allotment has
    constraint issuer_fund_coins check (coins >= 0)
);

-- What was deposited, by whom: insert-only.
create table issuer_deposit (
    deposit_id   uuid primary key,              -- of its idempotency key
    brand_id     integer not null,
    coins        bigint not null check (coins > 0),
    reference    text not null,
    fingerprint  bigint not null,               -- of the request, to tell a reused key from a retry
    deposited_at timestamptz not null,
    principal    text not null,
    constraint issuer_deposit_reference unique (brand_id, reference)
);

-- A part of a fund that one lane of one worker issues from, so that nobody else waits for this row.
-- `drawn` moves in the transactions that append what issues the coins; the reference of their rows
-- in the journal is the allotment. Anybody may close one: what was not drawn goes back to the fund,
-- and whoever would still draw from it violates the check, for then `coins` and `drawn` are equal.
create table issuer_allotment (
    allotment_id uuid primary key,
    brand_id     integer not null,
    coins        bigint not null,
    drawn        bigint not null default 0,
    allotted_at  timestamptz not null,          -- the last time that it was given coins
    closed_at    timestamptz,
    constraint issuer_allotment_drawn check (drawn between 0 and coins)
) with (fillfactor = 50);                       -- room for new versions beside a row drawn from often
create index issuer_allotment_open on issuer_allotment (brand_id) where closed_at is null;

-- Draw `issued` coins from an allotment, and take out `returned` ones, which a reversal gives back
-- to the fund. One that is not there, for a failover lost it, is like one that is closed.
create procedure draw_coins(allotment uuid, issued bigint, returned bigint)
language plpgsql as $$
begin
    update issuer_allotment
       set drawn = drawn + issued - returned, coins = coins - returned
     where allotment_id = allotment;
    if not found then
        raise check_violation using message = 'there is no such allotment',
                                    constraint = 'issuer_allotment_drawn';
    end if;
end $$;
