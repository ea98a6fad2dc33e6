"""HTTP: the wire contract, one file a resource. No rule of the network lives here."""
