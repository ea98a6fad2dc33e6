"""The audit of anchors names what is not there any more: rows of the journal, and anchors."""

from __future__ import annotations

import shutil

import pytest
from anchored import Series, copy_of, lines_of
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from harness import connection_to

from engine.errors import EngineError
from engine.ledger.anchors import new_key

A_ROW = "customer_id = $1 and asset = $2 and seq = $3"


@pytest.mark.parametrize("kept", [0, 1], ids=["all of its rows", "all but the first"])
async def test_a_wallet_whose_newest_rows_are_gone_is_named(series, three, moves, kept):
    copy = await copy_of(series.dsn)
    (customer, asset), (seq, _) = max(lines_of(three[-1])[0].items(), key=lambda one: one[1])
    async with connection_to(copy) as connection:
        rows = "customer_id = $1 and asset = $2"
        await connection.execute(
            f"delete from journal where {rows} and seq > {kept}", customer, asset
        )
        if not kept:
            await connection.execute(f"delete from wallet where {rows}", customer, asset)
    ends = f"ends with seq {kept}" if kept else "has no rows"
    assert await series.faults(copy) == [
        f"wallet ({customer}, {asset}) {ends}, and had seq {seq} in anchor {three[-1].name}"
    ]


async def test_a_row_in_the_place_of_another_one_is_named(series, three):
    copy = await copy_of(series.dsn)
    (customer, asset), (seq, _) = next(iter(lines_of(three[-1])[0].items()))
    async with connection_to(copy) as connection:
        change = f"update journal set hash = $4 where {A_ROW}"
        await connection.execute(change, customer, asset, seq, bytes(16))
    (fault,) = await series.faults(copy)
    assert fault.startswith(f"journal row (customer_id {customer}, asset {asset}, seq {seq}) has")


async def test_a_row_that_was_the_newest_and_is_gone_from_the_middle_is_named(series, three):
    copy = await copy_of(series.dsn)
    first, last = lines_of(three[0])[0], lines_of(three[-1])[0]
    (customer, asset), seq = next(
        (wallet, first[wallet][0]) for wallet in last if first[wallet][0] < last[wallet][0]
    )
    async with connection_to(copy) as connection:
        await connection.execute(f"delete from journal where {A_ROW}", customer, asset, seq)
    (fault,) = await series.faults(copy)
    assert fault.startswith(f"journal row (customer_id {customer}, asset {asset}, seq {seq}) of")
    assert fault.endswith("is missing")


async def test_a_restore_that_is_older_than_the_newest_anchor_lacks_what_moved(
    series, three, moves
):
    restored = await copy_of(series.dsn)
    assert await series.faults(restored) == []
    moved = await moves.make()
    await series.write()
    faults = await series.faults(restored)
    assert [fault.partition(")")[0] for fault in faults] == [
        f"wallet ({customer}, {asset}" for customer, asset in sorted(moved)
    ]
    assert await series.faults() == []


async def test_the_anchors_of_another_journal_are_told_apart(series, three):
    copy = await copy_of(series.dsn)
    async with connection_to(copy) as connection:
        await connection.execute("update journal_chain set fingerprint = $1", bytes(16))
    assert await series.faults(copy) == [
        f"anchor {one.name} is of another journal" for one in three
    ]
    with pytest.raises(EngineError, match="of another journal"):
        await Series(copy, series.settings.data_dir).write()


def replaced(file, before, after):
    text = file.read_bytes()
    assert text.count(before) >= 1
    file.write_bytes(text.replace(before, after, 1))


def alter_a_hash(_series, files):
    digest = next(iter(lines_of(files[1])[0].values()))[1]
    replaced(files[1], digest.encode(), bytes.fromhex(digest)[::-1].hex().encode())


def leave_out_a_wallet(_series, files):
    first, _, rest = files[1].read_bytes().partition(b"\n")
    assert first
    files[1].write_bytes(rest)


def alter_the_statement(_series, files):
    replaced(files[1], b'"number":2', b'"number":3')


def alter_the_signature(_series, files):
    signature = lines_of(files[1])[2]
    replaced(files[1], signature.encode(), bytes.fromhex(signature)[::-1].hex().encode())


def sign_by_another_key(series, files):
    other = Ed25519PrivateKey.generate()
    _, statement, signature = lines_of(files[1])
    replaced(files[1], signature.encode(), other.sign(statement.encode()).hex().encode())


def cut_off(_series, files):
    files[1].write_bytes(files[1].read_bytes()[:-7])


def empty(_series, files):
    files[1].write_bytes(b"")


def exchange_the_names(_series, files):
    other = files[1].with_name("exchanged")
    files[1].rename(other)
    files[2].rename(files[1])
    other.rename(files[2])


def keep_a_copy_by_another_time(_series, files):
    shutil.copy(files[1], files[1].with_name("00000002-20200101T000000Z.anchor"))


ALTERATIONS = {
    alter_a_hash: ["{1} has other wallets than it was signed with"],
    leave_out_a_wallet: ["{1} has other wallets than it was signed with"],
    alter_the_statement: ["{1} is not signed by the key at hand"],
    alter_the_signature: ["{1} is not signed by the key at hand"],
    sign_by_another_key: ["{1} is not signed by the key at hand"],
    cut_off: ["{1} is cut off, or is not an anchor"],
    empty: ["{1} is cut off, or is not an anchor"],
    exchange_the_names: ["{1} was made as {2}", "{2} was made as {1}"],
    keep_a_copy_by_another_time: [
        "00000002-20200101T000000Z.anchor was made as {1}",
        "anchors 00000002-20200101T000000Z.anchor and {1} have the same number",
    ],
}


@pytest.mark.parametrize("alter", ALTERATIONS, ids=lambda alter: alter.__name__)
async def test_an_altered_anchor_is_named(series, three, alter):
    alter(series, three)
    names = [file.name for file in three]
    faults = [fault.removeprefix("anchor ") for fault in await series.faults()]
    assert faults == [fault.format(*names) for fault in ALTERATIONS[alter]]


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ([1], "anchor 2 is missing before {2}"),
        ([0, 1], "anchors 1 to 2 are missing before {2}"),
        ([0], "anchor 1 is missing before {1}"),
    ],
)
async def test_a_missing_anchor_is_named(series, three, gone, named):
    for at in gone:
        three[at].unlink()
    assert await series.faults() == [named.format(*[file.name for file in three])]


async def test_an_anchor_of_another_series_does_not_follow(series, three, tmp_path):
    """Its signature and its number are right, as those of a series begun anew would be."""
    other = Series(series.dsn, tmp_path / "other", anchor_key=str(tmp_path / "anchor.key"))
    for _ in range(3):
        await other.write()
    three[2].unlink()
    shutil.copy(other.files[2], series.folder)
    assert await series.faults() == [
        f"anchor {other.files[2].name} does not follow {three[1].name}"
    ]


async def test_a_folder_without_anchors_is_a_fault(series, three):
    for file in three:
        file.unlink()
    assert await series.faults() == [f"there are no anchors in {series.folder}"]


async def test_no_anchor_follows_one_that_was_altered(series, three):
    alter_the_signature(series, [None, three[2]])
    with pytest.raises(EngineError, match=r"is not signed by the key at hand\. Restore"):
        await series.write()
    assert series.files == three


async def test_a_series_has_one_key(series, three):
    key = series.settings.data_dir / "anchor.key"
    key.write_bytes(new_key())
    with pytest.raises(EngineError, match="is not signed by the key at hand"):
        await series.write()
    for file in three:
        file.unlink()
    with pytest.raises(EngineError, match="is not the public key of the key at hand"):
        await series.write()
