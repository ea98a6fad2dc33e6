"""A simulator of lanes: workers on one database in memory, in virtual time, drawn from a seed.

Clients ask several workers for sales, redemptions, payments, conversions, reversals, blocks and
uploads, many of them for the same customers. Meanwhile connections break, answers are lost, appends
arrive late, the server fails over, with or without its last commits, takes no writes or is down;
workers are killed and drained, and their clocks are stepped. Clients ask again by the same key,
at the same worker or at another, until they know what came of it. Then the judge compares: what was
answered stands in the journal once, what was said not to be done is not there, what happens once
has happened once, the reference ledger makes the same rows of the same requests, no request
stays open, and no account stays locked. Nothing but the seed decides what happens.

    python -m tests.simulation --seeds 1000     run many, and print those that fail
    python -m tests.simulation --seed 17        run one again

The tests run LEAL_SIMULATION_SEEDS seeds, 1 000 where nothing is said, from LEAL_SIMULATION_FIRST
on. That is about 6 000 seconds of the simulated workers, and takes less than a minute of one core.

Bugs that were seeded into the committer (`tests/mutants/bugs.py`), and the first seed from 1 on
that finds each:

    answers before the commit                               1
    unlocks the accounts of an unknown outcome              1
    keeps the cache over a lost connection                  1
    takes a stale state for done                            1
    drops the check of the fingerprint                      2
    takes a lost connection for a failure                   3
    gives up what has failed beside others only             3
    fails a whole batch for one bad operation               8
    appends again behind rows that a failover lost         17
    keeps the cache where a key is taken by no request   151
    takes an unknown outcome for a failure                176

`make mutants` seeds them again and runs the seeds. It does not see the SQL of an append, which the
database in memory does not read.
"""
