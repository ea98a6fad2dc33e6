"""Seeded bugs: a checker that cannot fail proves nothing."""
