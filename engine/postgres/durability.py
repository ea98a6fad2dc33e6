"""Durability: whether what is committed on a connection survives a crash of the server.

The facts are those of one session at one moment. `alter role` and `alter database` change them for
sessions that begin later, a reload of the configuration for all of them, and after a failover a
connection is to another server. So every connection that writes is checked when it is opened, and
again after a reload.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from engine.errors import NotDurable, ReadOnly
from engine.postgres.sql import queries

SQL = queries("durability")
DURABILITY_SETTINGS: Final = ("fsync", "full_page_writes", "synchronous_commit")


@dataclass(frozen=True, slots=True)
class State:
    """What a session is like."""

    off: tuple[str, ...]
    """The settings that are off and that a commit needs to be durable."""
    read_only: bool
    """Whether the server is a standby, or transactions are read-only by default."""
    loaded_at: datetime
    """When the server read its configuration."""

    @property
    def data_loss(self) -> str:
        """The settings that lose commits, as a text; empty where there is none."""
        return " and ".join(f"{name} = off" for name in self.off)

    def refuse(self, *, allow_data_loss: bool) -> None:
        """Raise ReadOnly or NotDurable unless a commit of this session is taken and durable."""
        if self.read_only:
            raise ReadOnly
        if self.off and not allow_data_loss:
            raise NotDurable(self.data_loss)


async def state_of(connection: Any) -> State:
    """Return what the session of `connection` is like. One round trip. Raises what asyncpg does."""
    row = await connection.fetchrow(SQL["state"])  # network op
    return State(
        off=tuple(name for name in DURABILITY_SETTINGS if row[name] == "off"),
        read_only=row["in_recovery"] or row["read_only"],
        loaded_at=row["loaded_at"],
    )
