-- Anchors of the journal: the heads that are written to a file, and the heads of files that are looked
-- up. See engine/ledger/anchors.py and engine/ledger/anchor_audit.py.

-- take_turn --
-- One process writes anchors of a database at a time; the session gives the turn back as it ends.
select pg_try_advisory_lock(7265701001)

-- plan --
-- Reading the heads of all wallets takes long, and files are written between two statements.
set local statement_timeout = 0;
set local idle_in_transaction_session_timeout = 0;
set local work_mem = '64MB'

-- moment --
-- The server's time, and what the key of the journal's hashes is known by.
select now() as at, coalesce((select encode(fingerprint, 'hex') from journal_chain), '') as journal

-- wallets --
-- About how many wallets there are, for a progress bar.
select greatest(reltuples, 0)::bigint from pg_class where oid = 'wallet'::regclass

-- heads --
-- The newest row of every wallet.
select w.customer_id, w.asset, h.seq, encode(h.hash, 'hex')
  from wallet w
 cross join lateral (
       select j.seq, j.hash
         from journal j
        where j.customer_id = w.customer_id and j.asset = w.asset
        order by j.seq desc
        limit 1) h
 order by w.customer_id, w.asset

-- heads_moved --
-- The newest row of every wallet that has a row recorded since $1.
select w.customer_id, w.asset, h.seq, encode(h.hash, 'hex')
  from (select distinct j.customer_id, j.asset from journal j where j.recorded_at >= $1) w
 cross join lateral (
       select j.seq, j.hash
         from journal j
        where j.customer_id = w.customer_id and j.asset = w.asset
        order by j.seq desc
        limit 1) h
 order by w.customer_id, w.asset

-- contradicted --
-- The heads ($1 customer, $2 asset, $3 seq, $4 hash) that are not in the journal, whether another row
-- stands where each of them stood, and the last row of its wallet.
select a.customer_id, a.asset, a.seq, j.seq is not null as changed,
       (select max(n.seq) from journal n
         where n.customer_id = a.customer_id and n.asset = a.asset) as last
  from unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bytea[])
       as a (customer_id, asset, seq, hash)
  left join journal j
    on j.customer_id = a.customer_id and j.asset = a.asset and j.seq = a.seq
 where j.hash is distinct from a.hash
