"""HTTP: connections, the fast path, the dispatcher, problems, and the document of the contract."""
