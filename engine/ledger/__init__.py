"""The ledger: operations are decided by the compiled core, and appended in batches."""
