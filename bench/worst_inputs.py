"""Plain sales beside three callers of nothing but bad inputs: what the sales keep of their rate.

The callers send sales with blank invoice numbers, other spellings of one invoice, unknown query
parameters, and idempotency keys that come twice, each on a connection of its own, one request after
the other. The sales go to the brand of the callers, and to the others, in turn with rounds alone
and rounds beside three callers who send plain sales, which is what three more tills take.

    python -m bench.worst_inputs [--rounds 5] [--seconds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from rich.console import Console

from bench.builds import ROOT, served

CALLERS: Final = 3
SALE: Final = {"amount": 5_400_000, "currency": "COP"}


def requests_of(demo: dict[str, Any], kind: str, caller: int) -> Any:
    """Give the requests of a caller, without end."""
    key, ids = demo["keys"]["store"]["key"], [one["customer_id"] for one in demo["customers"]]
    for number in itertools.count():
        customer = ids[(number * CALLERS + caller) % len(ids)]
        path, headers, body = f"/v1/customers/{customer}/accumulations", "", dict(SALE)
        own = f"Idempotency-Key: {kind}-{os.getpid()}-{caller}-{number}\r\n"
        if kind == "worst":
            turn = number % 5
            body |= {"invoice_number": ("   ", "\u200b \t", "w-1 ", "W.1", "x")[turn]}
            path += "?dry_run=true" if turn == 4 else ""
            headers = own if turn == 3 else ""
        text = orjson.dumps(body)
        yield (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{own}{headers}"
            f"Content-Length: {len(text)}\r\n\r\n"
        ).encode() + text


async def call(url: str, demo: dict[str, Any], kind: str, caller: int) -> None:
    """Send one request after the other until the process is ended."""
    host = urlsplit(url)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    for request in requests_of(demo, kind, caller):
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        if b"connection: close" in head:
            reader, writer = await asyncio.open_connection(host.hostname, host.port)


def callers(url: str, demo: dict[str, Any], kind: str) -> None:
    """Be three callers."""

    async def all_of_them() -> None:
        await asyncio.gather(*(call(url, demo, kind, number) for number in range(CALLERS)))

    asyncio.run(all_of_them())


def rate(url: str, demo: Path, options: argparse.Namespace, seed: int, *flags: str) -> float:
    """Return how many plain sales a second are made."""
    command = [
        *(sys.executable, "-m", "bench.client", "--url", url, "--demo", str(demo), "--warm", "0.5"),
        *("--seconds", str(options.seconds), "--seed", str(seed), "--invoices", "0", *flags),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    figures = json.loads(done.stdout)
    assert set(figures["statuses"]) == {"201"}, figures["statuses"]
    return float(figures["per_second"])


def main() -> None:
    """Measure, and print the medians of the ratios within rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    console, seeds = Console(stderr=True), itertools.count(1)
    ratios: dict[tuple[str, str], list[float]] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # the user of the embedded server must reach its cluster
        with served("engine", ROOT, folder) as build:
            demo = json.loads(build.demo.read_text())
            for number, (sales, flags) in itertools.product(
                range(options.rounds), (("same brand", ("--one-brand",)), ("all brands", ()))
            ):
                alone = rate(build.url, build.demo, options, next(seeds), *flags)
                for kind in ("worst", "plain"):
                    process = multiprocessing.Process(target=callers, args=(build.url, demo, kind))
                    process.start()
                    try:
                        beside = rate(build.url, build.demo, options, next(seeds), *flags)
                    finally:
                        process.kill()
                        process.join()
                    ratios.setdefault((sales, kind), []).append(beside / alone)
                console.print(f"round {number + 1}, {sales}: {alone:.0f}/s alone")
    for (sales, kind), found in ratios.items():
        low, high = min(found), max(found)
        print(f"{sales} beside three {kind}: {median(found):.3f} ({low:.3f} … {high:.3f})")


if __name__ == "__main__":
    main()
