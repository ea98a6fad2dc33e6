"""Build the compiled core: one extension, engine.ledger.core, from ext/core.pyx and its parts."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("ENGINE_DEBUG") == "1"

core = Extension(
    "engine.ledger.core",
    ["ext/core.pyx"],
    depends=sorted(map(str, Path("ext").glob("*.pxi"))),
    extra_compile_args=["-O0", "-g"] if DEBUG else ["-O3"],
)

setup(
    ext_modules=cythonize(
        [core],
        annotate=DEBUG,
        compiler_directives={"overflowcheck": DEBUG, "linetrace": DEBUG},
    ),
)
