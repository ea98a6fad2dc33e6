"""The demo network: invented from a seed, loaded into an empty database, described for scripts.

Nothing of a real network depends on what lives here.
"""
