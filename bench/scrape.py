"""What the engine's metrics say of the time between two scrapes, over all of its workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from bench.processes import fetch


@dataclass(frozen=True, slots=True)
class Scrape:
    """Totals at one moment: batches, what was in them, and how often it was tried."""

    batches: float
    operations: float
    conflicts: float
    again: Counter[int]

    @classmethod
    def of(cls, url: str) -> Self:
        """Scrape an engine."""
        totals: Counter[str] = Counter()
        again: Counter[int] = Counter()
        for family in text_string_to_metric_families(fetch(f"{url}/metrics")):
            for sample in family.samples:
                totals[sample.name] += sample.value
                if sample.name == "leal_operation_tries_total":
                    again[int(sample.labels["tries"])] += round(sample.value)
        return cls(
            totals["leal_batch_operations_count"],
            totals["leal_batch_operations_sum"],
            totals["leal_batch_conflicts_total"],
            again,
        )

    def since(self, before: Self) -> dict[str, Any]:
        """Return what happened since an earlier scrape: batch size, conflicts, tries a commit."""
        operations = self.operations - before.operations
        again = self.again - before.again
        tries = operations + sum((times - 1) * count for times, count in again.items())
        return {
            "batch_operations": operations / max(1, self.batches - before.batches),
            "conflicts": self.conflicts - before.conflicts,
            "tries_per_commit": tries / max(1, operations),
            "tries_max": max(again, default=1),
            "tries": {"1": operations - again.total()} | {str(n): again[n] for n in sorted(again)},
        }
