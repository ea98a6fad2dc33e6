"""The environment: variables that are no settings are named, and do no harm.

Kubernetes gives every pod of a namespace variables for each Service in it. Where a Service is named
`leal`, they begin with the prefix of the settings: `LEAL_PORT=tcp://10.96.0.12:8080`.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, MutableMapping
from difflib import get_close_matches
from pathlib import Path

from engine.settings import Settings

PREFIX = "LEAL_"
SETTINGS = {f"{PREFIX}{field.name.upper()}" for field in dataclasses.fields(Settings)}
OTHERS = {"LEAL_PG_BIN"}
"""Variables that are read, and are no settings."""
OF_TESTS = re.compile(r"LEAL_(TEST|LOAD|TORTURE)(_|$)")
OF_KUBERNETES = re.compile(
    r"LEAL_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
URL = re.compile(r"[a-z][a-z0-9+.-]*://")
URL_OF_SERVICE = re.compile(r"(tcp|udp|sctp)://")
TEXTS = {
    f"{PREFIX}{field.name.upper()}"
    for field in dataclasses.fields(Settings)
    if isinstance(field.default, str | Path)
}
"""Settings that may hold any text; of these a URL is a mistake only where Kubernetes makes it."""


def heed(environment: MutableMapping[str, str] = os.environ) -> Iterator[str]:
    """Take what is no setting out of the environment, and give a sentence for each that may be one.

    What Kubernetes sets is named only where it hides a setting.
    """
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name in OTHERS or OF_TESTS.match(name):
            continue
        value = environment[name]
        if name in SETTINGS:
            looks_foreign = URL_OF_SERVICE if name in TEXTS else URL
            if looks_foreign.match(value) and not name.endswith("_URL"):
                del environment[name]
                yield (
                    f"{name}={value} is ignored: it looks like a variable that Kubernetes sets for"
                    " a Service. Set enableServiceLinks: false, or name the Service otherwise."
                )
        elif OF_KUBERNETES.fullmatch(name):
            del environment[name]
        else:
            del environment[name]
            near = get_close_matches(name, sorted(SETTINGS), 1)
            advice = f" Did you mean {near[0]}?" if near else ""
            yield f"{name} is no setting and is ignored.{advice}"
