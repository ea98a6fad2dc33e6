"""Benchmarks: the canonical workload, a lean client, contestants, and micro-benchmarks."""
