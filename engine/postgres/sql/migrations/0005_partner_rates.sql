-- How many coins the points of a partner become (SYS-9), by versions, which are never changed.
create table partner_rate (
    partner_id     integer not null,
    effective_from timestamptz not null,
    coins          bigint not null check (coins > 0),       -- so many coins ...
    points         bigint not null check (points > 0),      -- ... for each so many points
    primary key (partner_id, effective_from)
);

insert into partner_rate (partner_id, effective_from, coins, points)
select partner_id, timestamptz '2020-01-01 00:00:00+00', 1, 1 from partner;
