"""PostgreSQL as the engine uses it: the embedded server, connections, migrations and SQL files.

Knows nothing of loyalty; every layer that stores something imports from here.
"""
