"""Build what is compiled: the ledger's core, and what plain requests are read by."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("ENGINE_DEBUG") == "1"

PARTS = sorted(map(str, Path("ext").glob("*.pxi")))
ARGUMENTS = ["-O0", "-g"] if DEBUG else ["-O3"]

core = Extension(
    "engine.ledger.core",
    ["ext/core.pyx"],
    depends=PARTS,
    extra_compile_args=ARGUMENTS,
)
plain = Extension(
    "engine.http.plain", ["ext/plain.pyx"], depends=PARTS, extra_compile_args=ARGUMENTS
)

setup(
    ext_modules=cythonize(
        [core, plain],
        annotate=DEBUG,
        compiler_directives={"overflowcheck": DEBUG, "linetrace": DEBUG},
    ),
)
