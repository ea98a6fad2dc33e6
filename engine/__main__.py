"""`python -m engine` is `leal-engine`."""

from __future__ import annotations

import sys

from engine import signals


def main() -> None:
    """Run a command. Signals are heeded from here on, before the engine is imported."""
    signals.end_early(next((word for word in sys.argv[1:] if word[:1] != "-"), ""))
    from engine.cli import main as command  # noqa: PLC0415 - it takes most of a second

    command()


if __name__ == "__main__":
    main()
