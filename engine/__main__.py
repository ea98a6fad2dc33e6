"""`python -m engine` is `leal-engine`."""

from engine.cli import main

main()
