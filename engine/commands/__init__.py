"""What callers ask the network to do, without HTTP: each command takes and returns typed values."""
