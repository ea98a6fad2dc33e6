"""Benchmarks: the canonical workload, a lean client, contestants side by side, and micro-benchmarks."""
