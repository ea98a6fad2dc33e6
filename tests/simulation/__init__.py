"""A simulator of lanes: workers on a database in memory, with faults, in virtual time by a seed."""
