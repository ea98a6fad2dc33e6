"""Build what is compiled: the ledger's core, and what plain requests are read by.

With ENGINE_DEBUG=1 the core checks itself after each verb (`ext/soundness.pxi`); see
`make test-debug`.
"""

import os
import re
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("ENGINE_DEBUG") == "1"

ARGUMENTS = ["-O0", "-g"] if DEBUG else ["-O3"]


def extension(name, source):
    """Return an extension that is built anew when a part that it includes has changed."""
    parts = re.findall(r'^include "(.+)"$', Path(source).read_text(), re.MULTILINE)
    return Extension(
        name,
        [source],
        depends=[str(Path(source).with_name(part)) for part in parts],
        define_macros=[("ENGINE_DEBUG", "1")] if DEBUG else [],
        extra_compile_args=ARGUMENTS,
    )


setup(
    ext_modules=cythonize(
        [
            extension("engine.ledger.core", "ext/core.pyx"),
            extension("engine.http.plain", "ext/plain.pyx"),
        ],
        annotate=DEBUG,
        compiler_directives={"overflowcheck": DEBUG, "linetrace": DEBUG},
    ),
)
