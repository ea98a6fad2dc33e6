-- A BRIN index costs an append nothing, but each look reads all pages that it does not know yet, and
-- while a vacuum is at work it gets to know none. This one takes about a twelfth of an append.
drop index journal_xid;
create index journal_xid on journal (xid);

alter table fold drop column pages;         -- those that the other index knew

-- A writer that was at work when the table was made may have had a lower number than all that were
-- seen. Dropping the index waited for all of them: where nothing is folded, begin before everything.
update fold set xid = 0 where not exists (select from hour_folded);
