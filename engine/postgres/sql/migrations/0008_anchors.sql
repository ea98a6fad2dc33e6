-- Anchors: the heads of the wallets, kept outside the database; see engine/ledger/anchors.py.

-- Which wallets have moved lately. Rows are appended in about the order of time, so a summary of each
-- range of pages is enough, and an append does not write to it.
create index journal_recorded on journal using brin (recorded_at) with (autosummarize = on);
