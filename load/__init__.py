"""The load test: many points of sale at once, and the books audited afterwards."""
