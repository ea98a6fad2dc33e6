"""Any bytes at all, given to what reads a request: a little in the suite, more in `make fuzz`."""
