"""The ledger: operations are decided by the compiled core and appended to the journal in batches."""
