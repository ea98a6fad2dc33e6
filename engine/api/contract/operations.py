"""The contract of probes, metrics and the documentation: calls that need no key."""

from __future__ import annotations

from engine.api.contract.row import Row, Rows, Text
from engine.schemas.probes import Probe

OK = Probe(status="ok", reason=None)


def _probe(operation: str, reason: str) -> Row:
    return Row(
        operation=operation,
        answers={200: OK, 503: Probe(status="unavailable", reason=reason)},
    )


ROWS: Rows = {
    ("GET", "/livez"): Row(operation="probeLiveness", answers={200: OK}),
    ("GET", "/readyz"): _probe("probeReadiness", "draining"),
    ("GET", "/startupz"): _probe("probeStart", "starting"),
    ("GET", "/metrics"): Row(
        operation="readMetrics",
        answers={
            200: (
                Text("text/plain", "leal_postings_total 1042.0\n"),
                Text("application/openmetrics-text", "leal_postings_total 1042.0\n# EOF\n"),
            )
        },
    ),
    ("GET", "/openapi.json"): Row(
        operation="readContract",
        answers={200: (Text("application/json", {"openapi": "3.1.0"}, "object"),), 304: None},
        summary="This document",
    ),
    ("GET", "/docs"): Row(
        operation="browseContract",
        answers={200: (Text("text/html", "<!DOCTYPE html>"),), 304: None},
        summary="This document, to be read in a browser",
    ),
    ("GET", "/docs/{asset}"): Row(
        operation="readAsset",
        answers={200: (Text("text/javascript", "…"), Text("text/css", "…")), 304: None},
        problems=("not_found",),
        summary="A part of the page at /docs",
    ),
}
