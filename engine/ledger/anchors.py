"""Anchors: the newest row of each wallet, signed, in files outside the database.

The chain of hashes shows a row that was changed, but not that the newest rows of a wallet are gone:
what is left is a sound chain. An anchor remembers where it ended. It is a file of lines

    customer asset seq hash

then a statement about them in JSON, on one line, and the signature of that line by Ed25519. The
statement has the SHA-256 of the lines (`root`) and of the statement before it (`previous`), so that
no anchor of a series can be changed, left out or exchanged unseen.

The first anchor of a series has all wallets, and so has every n-th; the others have the wallets
with a row recorded since the last one. A row can be committed some time after it was recorded,
hence OVERLAP: what was recorded that long before the last anchor is listed once more. A row that is
later still is in the next full anchor. All that a series remembers is in its folder: nothing of it
is read from the database, whose content it attests.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from engine.errors import EngineError
from engine.postgres.connections import Connection
from engine.postgres.sql import queries

SQL = queries("anchors")
OVERLAP: Final = timedelta(minutes=10)
NAME: Final = re.compile(r"\d{8}-\d{8}T\d{6}Z\.anchor")
PUBLIC_KEY_FILE: Final = "anchor.pub"
PARTIAL: Final = ".partial"
PIECE_BYTES: Final = 256 * 1024
TRAILER_BYTES_MAX: Final = 4096
"""More than the statement and the signature take."""


class BadAnchor(EngineError):
    """The anchor cannot be read."""


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an anchor says of its lines."""

    format: str
    number: int
    at: datetime
    since: datetime | None
    """When the wallets listed have moved; None where all are listed."""
    wallets: int
    root: str
    previous: str
    journal: str
    """What the key of the journal's hashes is known by."""

    @property
    def name(self) -> str:
        """The name of the anchor's file."""
        return f"{self.number:08}-{self.at.astimezone(UTC):%Y%m%dT%H%M%SZ}.anchor"


FORMAT: Final = "leal-anchor/1"


@dataclass(frozen=True, slots=True)
class Anchor:
    """An anchor without its lines, which are the first `lines_bytes` of the file."""

    path: Path
    statement: Statement
    signed: bytes
    signature: bytes
    lines_bytes: int

    @property
    def digest(self) -> str:
        """What the next anchor names this one by."""
        return sha256(self.signed).hexdigest()

    def is_signed_by(self, key: Ed25519PublicKey) -> bool:
        """Return whether the signature is that of `key`."""
        try:
            key.verify(self.signature, self.signed)
        except InvalidSignature:
            return False
        return True


def new_key() -> bytes:
    """Return the file of a new signing key."""
    made = Ed25519PrivateKey.generate()
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signing_key_of(pem: bytes, path: Path) -> Ed25519PrivateKey:
    """Return the key of a file; raises EngineError where it has none of Ed25519."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise EngineError(f"{path} has no private key of Ed25519 in PEM, without a password.")
    return key


def public_key_of(pem: bytes, path: Path) -> Ed25519PublicKey:
    """Return the public key of a file that has it, or the private one; raises EngineError."""
    if b"PRIVATE KEY" in pem:
        return signing_key_of(pem, path).public_key()
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise EngineError(f"{path} has no key of Ed25519 in PEM.")
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    """Return a public key as its file has it."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def anchor_files(folder: Path) -> list[Path]:
    """Return the anchors of a folder by their numbers; raises OSError."""
    return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))


def number_of(path: Path) -> int:
    """Return the number that an anchor has by its name."""
    return int(path.name.partition("-")[0])


def read(path: Path) -> Anchor:
    """Read the end of an anchor's file; raises BadAnchor, and OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TRAILER_BYTES_MAX))
        lines = file.read().split(b"\n")
    try:
        signed, signature, nothing = lines[-3:]
        statement = msgspec.json.decode(signed, type=Statement)
        if nothing or statement.format != FORMAT:
            raise BadAnchor
        trailer = len(signed) + len(signature) + 2
        return Anchor(path, statement, signed, bytes.fromhex(signature.decode()), size - trailer)
    except (ValueError, msgspec.DecodeError, BadAnchor):
        raise BadAnchor(f"{path.name} is cut off, or is not an anchor") from None


def newest(folder: Path) -> Anchor | None:
    """Return the last anchor of a folder, None where there is none; raises BadAnchor, OSError."""
    if not folder.is_dir():
        return None
    files = anchor_files(folder)
    return read(files[-1]) if files else None


async def take(
    connection: Connection,
    folder: Path,
    key: Ed25519PrivateKey,
    *,
    full_every: int,
    progress: Callable[[int], None] = lambda _wallets: None,
) -> Anchor:
    """Write the next anchor of the series in `folder`; `progress` gets the wallets written so far.

    Only for a session that has the turn. Raises EngineError where the folder has anchors of another
    key or journal, OSError, and what PostgreSQL says; then there is no new anchor.
    """
    before = await asyncio.to_thread(_prepare, folder, key)
    async with connection.transaction(isolation="repeatable_read", readonly=True):  # network op
        await connection.execute(SQL["plan"])  # network op
        moment = await connection.fetchrow(SQL["moment"])  # network op
        assert moment is not None
        at, number, since = moment["at"], 1, None
        if before is not None:
            last = before.statement
            if last.journal not in ("", moment["journal"]):
                raise EngineError(f"{folder} has the anchors of another journal. Name another one.")
            at, number = max(at, last.at + timedelta(microseconds=1)), last.number + 1
            since = None if (number - 1) % full_every == 0 else last.at - OVERLAP
        draft = _Draft(folder / f"{number:08}-{os.getpid()}{PARTIAL}", progress)
        try:
            query = (SQL["heads"],) if since is None else (SQL["heads_moved"], since)
            await connection.copy_from_query(  # network op
                *query, output=draft.take, format="text", delimiter=" "
            )
            await draft.flush()
            statement = Statement(
                format=FORMAT,
                number=number,
                at=at,
                since=since,
                wallets=draft.wallets,
                root=draft.root,
                previous="" if before is None else before.digest,
                journal=moment["journal"],
            )
            return await asyncio.to_thread(draft.sign, statement, key)
        finally:
            draft.discard()


class _Draft:
    """An anchor's file while it is written, by threads that the event loop does not wait in."""

    def __init__(self, path: Path, progress: Callable[[int], None]) -> None:
        self.wallets = 0
        self._path = path
        self._progress = progress
        self._hash = sha256()
        self._lines = bytearray()
        self._size = 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = io.FileIO(descriptor, "wb")

    @property
    def root(self) -> str:
        return self._hash.hexdigest()

    async def take(self, piece: bytes) -> None:
        self._lines += piece
        if len(self._lines) >= PIECE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        lines, self._lines = bytes(self._lines), bytearray()
        await asyncio.to_thread(self._write, lines)
        self.wallets += lines.count(b"\n")
        self._progress(self.wallets)

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        self._size += len(data)
        self._write_all(data)

    def _write_all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def sign(self, statement: Statement, key: Ed25519PrivateKey) -> Anchor:
        """Write the end of the file, make it durable, and give it its name."""
        signed = msgspec.json.encode(statement)
        signature = key.sign(signed)
        path = self._path.with_name(statement.name)
        self._write_all(signed + b"\n" + signature.hex().encode() + b"\n")
        os.fsync(self._file.fileno())
        self._path.rename(path)
        _make_durable(path.parent)
        return Anchor(path, statement, signed, signature, self._size)

    def discard(self) -> None:
        """Remove what has no name yet."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def _prepare(folder: Path, key: Ed25519PrivateKey) -> Anchor | None:
    """Make the folder with the public key in it; return its last anchor.

    What another process was writing when it lost its turn is removed first: either it has its name
    by then and is the last anchor, or it cannot get it any more.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for partial in folder.glob(f"*{PARTIAL}"):
        partial.unlink()
    path, public = folder / PUBLIC_KEY_FILE, public_pem(key.public_key())
    last = newest(folder)
    if last is not None and not last.is_signed_by(key.public_key()):
        raise EngineError(
            f"{last.path} is not signed by the key at hand. Restore {last.path.name} or the key, or"
            " begin a new series in another folder."
        )
    if not path.exists():
        path.write_bytes(public)
    elif path.read_bytes() != public:
        raise EngineError(f"{path} is not the public key of the key at hand.")
    return last


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
