-- What a connection asks about its server and itself: whether a commit on it survives a crash, and
-- whether it takes writes.

-- state --
-- The settings as they are for this session. They can change whenever a session begins and whenever
-- the server's configuration is read anew, which is at `loaded_at`.
select current_setting('fsync') as fsync,
       current_setting('full_page_writes') as full_page_writes,
       current_setting('synchronous_commit') as synchronous_commit,
       pg_is_in_recovery() as in_recovery,
       current_setting('default_transaction_read_only')::boolean as read_only,
       pg_conf_load_time() as loaded_at

-- served_by --
-- The process of the server that serves this session.
select pg_backend_pid()

-- unwritable --
-- Which of these tables this role may not append to.
select t.name
  from unnest($1::text[]) as t (name)
 where not has_table_privilege(to_regclass(t.name), 'insert')

-- write_a_file --
-- Needs about a megabyte of the server's disk for a moment, and writes no row.
set work_mem = '64kB';
select count(*) from (select n from generate_series(1, 30000) as g (n) order by md5(n::text)) as s;
reset work_mem
