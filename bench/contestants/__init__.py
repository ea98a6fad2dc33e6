"""What the engine is measured against; each is a server in a process of its own."""
