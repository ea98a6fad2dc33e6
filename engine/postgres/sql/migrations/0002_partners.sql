-- Who else coins come from and go to.

-- Partner programmes, whose points become coins (SYS-9).
create table partner (
    partner_id integer primary key,
    name       text not null
);

-- Social organisations, which coins can be donated to (COI-8).
create table organisation (
    organisation_id integer primary key,
    name            text not null
);
