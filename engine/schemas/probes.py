"""The shape of what probes answer."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Probe(Struct, kw_only=True):
    """Whether the engine is what the probe asks for, and why it is not."""

    status: Literal["ok", "unavailable"]
    reason: str | None
