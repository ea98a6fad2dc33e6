"""Every metric of the engine: its name, its help, its unit and its buckets.

Names end in their unit; labels take few, known values, never anything personal. Children are made
once and kept, for looking one up costs more than counting.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

LATENCY_BUCKETS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0),
)
STAGE_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 4.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

STAGES = ("collect", "load", "decide", "append")

WORKER_UP = (
    "# HELP leal_worker_up Whether the worker told its metrics.\n# TYPE leal_worker_up gauge"
)


class Metrics:
    """The metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)

        self._make_http()
        self._make_committer()
        self._make_sweep()
        self._make_funds()
        self._make_rest()
        self._make_folding()
        self._make_anchors()
        self.stage = {stage: self.batch_stage.labels(stage).observe for stage in STAGES}

    def _make_http(self) -> None:
        """The HTTP side: rate, errors, duration."""
        self.requests = PlainHistogram(
            "leal_http_request_duration_seconds",
            "Time from the head of a request to its answer, by route and status.",
            ("method", "route", "status"),
            LATENCY_BUCKETS,
        )
        self.registry.register(self.requests)
        self.fast_path = Tally(
            "leal_http_express",
            "Requests served on the fast path, by route.",
            ("route",),
        )
        self.registry.register(self.fast_path)
        self.shed = Counter(
            "leal_http_shed_total",
            "Requests refused without doing anything, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.connections_cut = Counter(
            "leal_http_connections_cut_total",
            "Connections closed by the engine, by reason: full, or a bad head.",
            ["reason"],
            registry=self.registry,
        )
        self.replays = Counter(
            "leal_idempotency_total",
            "Requests with a known idempotency key: replay (same request) or reused (another).",
            ["outcome"],
            registry=self.registry,
        )

    def _make_committer(self) -> None:
        """The committer: batches, their stages, and what went another way than a plain commit."""
        self.batch_operations = Histogram(
            "leal_batch_operations",
            "Operations committed together in one batch.",
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        self.batch_stage = Histogram(
            "leal_batch_stage_duration_seconds",
            "Time a batch spends in a stage: collect, load, decide, append.",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self.postings = Counter(
            "leal_postings_total",
            "Rows appended to the journal and committed.",
            registry=self.registry,
        )
        self.operations = Tally(
            "leal_operations",
            "Operations decided by the ledger, by kind and refusal code ('none': posted).",
            ("kind", "refusal"),
        )
        self.registry.register(self.operations)
        self.tries = Tally(
            "leal_operation_tries",
            "Operations decided more than once before they were durable, by number of decisions.",
            ("tries",),
        )
        self.registry.register(self.tries)
        self.conflicts = Counter(
            "leal_batch_conflicts_total",
            "Batches decided again because another writer had changed a wallet.",
            registry=self.registry,
        )
        self.put_off = Counter(
            "leal_operations_put_off_total",
            "Operations deferred to the next batch because another worker held the account's lock.",
            registry=self.registry,
        )
        self.retries = Counter(
            "leal_append_failures_total",
            "Failed appends, by SQLSTATE or name of the error.",
            ["sqlstate"],
            registry=self.registry,
        )
        self.ambiguous = Counter(
            "leal_batch_ambiguous_total",
            "Batches of unknown outcome, settled by appending them again.",
            registry=self.registry,
        )
        self.timeline_changes = Counter(
            "leal_timeline_changes_total",
            "Failovers and restores seen by a lane, by whether its newest commit was kept or lost.",
            ["outcome"],
            registry=self.registry,
        )
        self.last_commit = Gauge(
            "leal_last_commit_timestamp_seconds",
            "Unix time of the last committed batch.",
            registry=self.registry,
        )

    def _make_sweep(self) -> None:
        """The sweep of what is due."""
        self.swept_wallets = Counter(
            "leal_swept_wallets_total",
            "Wallets checked by the sweep.",
            registry=self.registry,
        )
        self.swept_due = Counter(
            "leal_swept_due_total",
            "Wallets in which the sweep found expired lots or holds.",
            registry=self.registry,
        )
        self.breakage_postings = Counter(
            "leal_breakage_postings_total",
            "Expiry postings written by the sweep.",
            registry=self.registry,
        )
        self.last_sweep = Gauge(
            "leal_last_sweep_timestamp_seconds",
            "Unix time at which this worker last completed a sweep.",
            registry=self.registry,
        )

    def _make_funds(self) -> None:
        """Prepaid issuers."""
        self.coins_not_issued = Counter(
            "leal_coins_not_issued_total",
            "Coins not issued because a prepaid fund was exhausted.",
            registry=self.registry,
        )

    def _make_rest(self) -> None:
        """The event loop, and what is sent to customers."""
        self.loop_lag = Histogram(
            "leal_event_loop_lag_seconds",
            "Delay of a timer on the event loop.",
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self.codes_sent = Counter(
            "leal_codes_sent_total",
            "Attempts to send payment codes, by outcome; a retried one has another outcome later.",
            ["outcome"],
            registry=self.registry,
        )
        self.notices_sent = Counter(
            "leal_notices_sent_total",
            "Attempts to send notices of changed contacts, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.failed_codes_refused = Counter(
            "leal_failed_codes_refused_total",
            "Payments and codes refused by a limit of wrong codes, by whose limit it was.",
            ["reason"],
            registry=self.registry,
        )
        for outcome in ("sent", "retried", "failed", "dropped"):
            self.codes_sent.labels(outcome)
            self.notices_sent.labels(outcome)
        for place in ("cashier", "store", "brand"):
            self.failed_codes_refused.labels(place)
        for reason in ("overloaded", "unavailable"):
            self.shed.labels(reason)
        for reason in ("full", "slow_head", "large_head", "broken"):
            self.connections_cut.labels(reason)
        for outcome in ("replay", "reused"):
            self.replays.labels(outcome)

    def _make_folding(self) -> None:
        """The sums over the journal: how far behind they are, and what brings them on."""
        self.fold_waiting = Gauge(
            "leal_fold_waiting_rows",
            "Rows of the journal that are not in the rollups yet, as far as one step looks.",
            registry=self.registry,
        )
        self.fold_lag = Gauge(
            "leal_fold_lag_seconds",
            "Age of the oldest row that is not in the rollups yet.",
            registry=self.registry,
        )
        self.fold_steps = Counter(
            "leal_fold_steps_total",
            "Completed steps of the rollup.",
            registry=self.registry,
        )
        self.fold_rows = Counter(
            "leal_fold_rows_total",
            "Rows of the journal added to the rollups.",
            registry=self.registry,
        )
        self.fold_failures = Counter(
            "leal_fold_failures_total",
            "Failed steps of the rollup; they changed nothing.",
            registry=self.registry,
        )

    def _make_anchors(self) -> None:
        """Anchors of the journal, outside the database."""
        self.last_anchor = Gauge(
            "leal_last_anchor_timestamp_seconds",
            "Unix time of the newest anchor, as this worker has seen it.",
            registry=self.registry,
        )
        self.anchor_failures = Counter(
            "leal_anchor_failures_total",
            "Anchors that could not be written, or that the webhook did not accept.",
            registry=self.registry,
        )

    def watch(self, read: Callable[[], dict[str, tuple[str, float]]]) -> None:
        """Export what `read` returns at each scrape: name → (help, value), all gauges."""
        self.registry.register(_Reader(read))


def merged(told: dict[int, str | None]) -> str:
    """Return what several workers told, as one text in which each sample names its worker.

    Works on lines, which it knows for its own: parsing them would hold the event loop for longer
    than a sale takes.
    """
    families: dict[str, list[str]] = {WORKER_UP: []}
    for slot, text in told.items():
        label = f'{{worker="{slot}"'
        families[WORKER_UP].append(f"leal_worker_up{label}}} {int(text is not None)}")
        about, samples = "", list[str]()
        for line in (text or "").split("\n"):
            if line.startswith("# HELP "):
                about = line
            elif line.startswith("# TYPE "):
                samples = families.setdefault(f"{about}\n{line}", [])
            elif line:
                name, braced, rest = line.partition("{")
                if braced:
                    samples.append(f"{name}{label},{rest}")
                else:
                    samples.append(line.replace(" ", label + "} ", 1))
    return "".join(f"{head}\n" + "\n".join(lines) + "\n" for head, lines in families.items())


class PlainHistogram(Collector):
    """A histogram for the hot path: an observation is one bisection and two additions, no lock.

    It may only be used by the thread of the event loop.
    """

    def __init__(
        self, name: str, about: str, labels: tuple[str, ...], buckets: tuple[float, ...]
    ) -> None:
        self._name, self._about, self._labels, self._buckets = name, about, labels, buckets
        self._children: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        """Count `value` in the series with these label values."""
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = ([0] * (len(self._buckets) + 1), [0.0])
        child[0][bisect_left(self._buckets, value)] += 1
        child[1][0] += value

    def collect(self) -> Iterable[Metric]:
        """Yield the metric as it is now."""
        family = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        bounds = [*map(str, self._buckets), "+Inf"]
        for labels, (counts, total) in self._children.items():
            cumulated = list(zip(bounds, accumulate(counts), strict=True))
            family.add_metric(list(labels), cumulated, total[0])
        yield family


class Tally(Collector):
    """A counter for the hot path; only for the thread of the event loop."""

    def __init__(self, name: str, about: str, labels: tuple[str, ...]) -> None:
        self._name, self._about, self._labels = name, about, labels
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, labels: tuple[str, ...], count: int = 1) -> None:
        """Add `count` to the series with these label values."""
        self._counts[labels] = self._counts.get(labels, 0) + count

    def collect(self) -> Iterable[Metric]:
        """Yield the metric as it is now."""
        family = CounterMetricFamily(self._name, self._about, labels=self._labels)
        for labels, count in self._counts.items():
            family.add_metric(list(labels), count)
        yield family


class _Reader(Collector):
    """A collector that asks at each scrape, so that the hot path touches no metric object."""

    def __init__(self, read: Callable[[], dict[str, tuple[str, float]]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        for name, (about, value) in self._read().items():
            yield GaugeMetricFamily(name, about, value=value)
