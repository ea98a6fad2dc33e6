"""What README and the tutorial tell a newcomer to paste is run from top to bottom."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port, server

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def checkout(tmp_path: Path):
    """Give a folder in which the demo network is served, as in a checkout after `make run`."""
    tmp_path.chmod(0o755)  # the user of the embedded server must reach its cluster
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    port = free_port()
    command = ["env", "-C", str(tmp_path), sys.executable, "-m", "engine", "serve", "--demo"]
    command += ["--port", str(port)]
    with server(command, f"http://127.0.0.1:{port}/readyz", tmp_path / "engine.log"):
        yield tmp_path


def pasted(page: str, folder: Path) -> subprocess.CompletedProcess[Any]:
    """Run all blocks of a page in one shell."""
    script = "\n".join(BLOCK.findall((ROOT / page).read_text()))
    assert "curl" in script
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("page", "refused"), [("README.md", []), ("docs/tutorial.md", ["invoice_already_claimed"])]
)
def test_the_commands_of_a_page_work_as_they_are_pasted(checkout, page, refused):
    run = pasted(page, checkout)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.findall(r'"code":"(\w+)"', run.stdout) == refused
    assert '"transaction_id"' in run.stdout
