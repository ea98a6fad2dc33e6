"""`make fuzz`: the tests of decoding under atheris, for a minute; flags are those of libFuzzer.

The first byte of an input chooses the test, and the rest what Hypothesis makes of it. What the
Python code of the API does with that guides the next input; the compiled reader of plain requests
is not seen from inside, so to it the inputs are random ones near a request.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import atheris

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))  # as pytest has it

with atheris.instrument_imports(include=["engine.api", "engine.commands", "engine.http"]):
    from api.test_plain import (
        test_aiohttp_reads_the_same_of_a_plain_request_and_nothing_behind_it as plain,
    )

    from fuzzing import test_decoding as decoding

TARGETS: list[Callable[[bytes], object]] = [
    test.hypothesis.fuzz_one_input
    for test in (
        plain,
        decoding.test_a_body_is_decoded_or_refused,
        decoding.test_an_upload_falls_into_items_that_are_decoded_or_refused,
        decoding.test_any_bytes_are_a_plain_request_or_none,
    )
]


def decode(data: bytes) -> None:
    """Give an input to the test that its first byte chooses."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


if __name__ == "__main__":
    atheris.Setup([*sys.argv, "-timeout=5", "-rss_limit_mb=1024"], decode)
    atheris.Fuzz()
