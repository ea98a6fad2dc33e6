"""The commands of a person who tries the engine: the demo first, then serve, each in its turn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest


@pytest.fixture
def environment(tmp_path):
    folder = tmp_path / "a folder with spaces"
    return os.environ | {"LEAL_DATA_DIR": str(folder), "LEAL_PORT": "0"}


def command(*words):
    return [sys.executable, "-m", "engine", *words]


def served_port(process):
    """Return the port that the engine says it serves on."""
    for line in process.stderr:
        if b'"event":"serving"' in line:
            return json.loads(line)["port"]
    raise AssertionError("the engine ended without serving")


def test_the_demo_is_loaded_by_one_command_and_served_by_another(environment):
    done = subprocess.run(command("demo"), env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    process = subprocess.Popen(
        command("serve"), env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        port = served_port(process)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as ready:
            assert ready.status == 200
        demo = json.loads(Path(environment["LEAL_DATA_DIR"], "demo.json").read_bytes())
        assert demo["url"] == f"http://127.0.0.1:{port}"
        listed = subprocess.run(
            command("keys", "list"), env=environment, capture_output=True, check=False
        )
        assert b"network" in listed.stdout, "keys are listed beside a running engine"
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "words",
    [
        ("audit",),
        ("keys", "list"),
        ("keys", "create", "--role", "network"),
        ("keys", "rotate", "abc"),
        ("keys", "revoke", "abc"),
        ("customers", "export", "6f1d2c3b-4a59-4e68-9d77-8c6b5a493827"),
        ("customers", "erase", "6f1d2c3b-4a59-4e68-9d77-8c6b5a493827", "--yes"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("there", [False, True], ids=["no folder", "an empty folder"])
def test_who_looks_for_data_where_there_is_none_makes_none(tmp_path, words, there):
    folder = tmp_path / "nothing"
    if there:
        folder.mkdir()
    environment = os.environ | {"LEAL_DATA_DIR": str(folder)}
    done = subprocess.run(
        command(*words), env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: There is no data in {folder}: name the --data-dir or --database-url of the engine."
        "\n"
    )
    assert list(tmp_path.rglob("*")) == ([folder] if there else [])
