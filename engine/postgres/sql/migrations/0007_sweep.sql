-- The sweep: what is due in wallets that nobody uses is written down in the background (PTS-5, COI-4).

-- Where the round is: the last wallet that was looked at, or NULLs at its beginning; and which worker
-- goes on with it. That is a hint, for it does no harm where two do.
create table sweep (
    only_row    boolean primary key default true check (only_row),
    worker      text,
    lease_until timestamptz,
    customer_id uuid,
    asset       integer,
    began_at    timestamptz,
    ended_at    timestamptz
);
insert into sweep (only_row) values (true);
