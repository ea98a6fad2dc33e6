"""Build what is compiled: the ledger's core, and the reader of plain requests."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("ENGINE_DEBUG") == "1"

ARGUMENTS = ["-O0", "-g"] if DEBUG else ["-O3"]

core = Extension(
    "engine.ledger.core",
    ["ext/core.pyx"],
    depends=sorted(map(str, Path("ext").glob("*.pxi"))),
    extra_compile_args=ARGUMENTS,
)
request = Extension("engine.api.request", ["ext/request.pyx"], extra_compile_args=ARGUMENTS)

setup(
    ext_modules=cythonize(
        [core, request],
        annotate=DEBUG,
        compiler_directives={"overflowcheck": DEBUG, "linetrace": DEBUG},
    ),
)
