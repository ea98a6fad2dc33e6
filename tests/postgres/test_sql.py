from __future__ import annotations

from pathlib import Path

import pytest

from engine.postgres import sql
from engine.postgres.sql import Queries, queries


def read(folder: Path, text: str) -> Queries:
    file = folder / "some.sql"
    file.write_text(text, encoding="utf-8")
    return Queries(file)


def test_a_file_is_read_block_by_block_without_the_descriptions(tmp_path: Path) -> None:
    blocks = read(
        tmp_path,
        "-- What this file holds.\n\n"
        "-- load_heads --\n-- The newest row of each wallet.\n--\n-- Fast.\n"
        "select 1 -- one\n-- and\n  , 2;\n\n"
        "-- append --\ninsert into t values ($1)\n",
    )
    assert dict(blocks) == {
        "load_heads": "select 1 -- one\n-- and\n  , 2;",
        "append": "insert into t values ($1)",
    }


def test_a_missing_block_is_named_with_those_there_are(tmp_path: Path) -> None:
    blocks = read(tmp_path, "-- one --\nselect 1\n-- two --\nselect 2\n")
    with pytest.raises(KeyError, match=r"some\.sql has no block '-- three --'; it has: one, two\."):
        blocks["three"]
    assert "three" not in blocks
    assert len(blocks) == 2


def test_two_blocks_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two blocks named one"):
        read(tmp_path, "-- one --\nselect 1\n-- one --\nselect 2\n")


def test_a_block_without_sql_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"block one of some\.sql has no SQL"):
        read(tmp_path, "-- one --\n-- Only a description.\n-- two --\nselect 2\n")


def test_sql_above_the_first_block_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="above its first"):
        read(tmp_path, "-- Described.\nselect 0;\n-- one --\nselect 1\n")


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "read_once.sql").write_text("-- one --\nselect 1")
    monkeypatch.setattr(sql, "FOLDER", tmp_path)
    assert queries("read_once") is queries("read_once")
    assert queries("read_once")["one"] == "select 1"
