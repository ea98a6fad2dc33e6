"""Keys outside the database: of what customers are sent, of the journal's hashes, and of anchors.

Each is a setting or a file of the data folder, made at the first start. The key of the hashes is
kept in a file also where it comes of the secret, so that a later change of the secret leaves it as
it is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from hashlib import blake2b, sha256
from pathlib import Path

from engine.errors import EngineError
from engine.settings import Settings

KEY_SIZE = 32
SECRET_FILE = "secret"  # noqa: S105 - the name of a file
CHAIN_KEY_FILE = "chain.key"
ANCHOR_KEY_FILE = "anchor.key"


def code_secret(settings: Settings) -> bytes:
    """Return the key of payment codes and QR codes; makes its file where there is none.

    It stays outside the database: a reader of the database cannot guess the digits of a code.
    """
    if settings.secret:
        return _key_of(settings.secret)
    return _kept(settings.data_dir / SECRET_FILE, os.urandom(KEY_SIZE))


def chain_key(settings: Settings) -> bytes:
    """Return the key of the journal's hashes; makes its file where there is none.

    Engines with one secret make the same key, on whatever machine they are started first.
    """
    if settings.chain_key:
        return _key_of(settings.chain_key)
    path, derived = settings.data_dir / CHAIN_KEY_FILE, _chain_key_of_secret(settings)
    if derived is None:
        return _kept(path, os.urandom(KEY_SIZE))
    try:
        return _kept(path, derived)
    except OSError:  # a file system that cannot be written, where the secret will do
        return derived


def known_chain_key(settings: Settings) -> bytes | None:
    """Return the key of the journal's hashes, None where it is not at hand; makes nothing."""
    if settings.chain_key:
        return _key_of(settings.chain_key)
    path = settings.data_dir / CHAIN_KEY_FILE
    return _read(path) if path.exists() else _chain_key_of_secret(settings)


def anchor_key_file(settings: Settings) -> Path:
    """Return the file of the key that signs anchors."""
    if settings.anchor_key:
        return Path(settings.anchor_key)
    return settings.data_dir / ANCHOR_KEY_FILE


def anchor_key(settings: Settings, new_key: Callable[[], bytes]) -> bytes:
    """Return what the file of the key that signs anchors has; the default one is made if missing.

    Raises OSError where it cannot be read or made.
    """
    path = anchor_key_file(settings)
    if not settings.anchor_key and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_once(path, new_key())
    return path.read_bytes()


def _key_of(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _chain_key_of_secret(settings: Settings) -> bytes | None:
    if not settings.secret:
        return None
    return blake2b(settings.secret.encode(), digest_size=KEY_SIZE, person=b"leal-chain").digest()


def _kept(path: Path, key: bytes) -> bytes:
    """Return the key that a file has, after writing `key` where there is no such file."""
    _write_once(path, key)
    return _read(path)


def _write_once(path: Path, key: bytes) -> None:
    with contextlib.suppress(FileExistsError):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as made:
            made.write(key)


def _read(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != KEY_SIZE:
        raise EngineError(f"{path} does not have {KEY_SIZE} bytes. Restore it from a backup.")
    return key
