"""One document, one spelling, one identity; and sentences that help the person who typed it."""

from __future__ import annotations

import pytest

from engine.people.documents import DOCUMENT_TYPES, document_identity, normalise
from engine.people.profile import FIELD_NAMES, Field, missing_fields, names_of


@pytest.mark.parametrize(
    ("document_type", "typed", "spelled"),
    [
        ("CC", "1.020.304.050", "1020304050"),
        ("CC", " 1 020 304 050\t", "1020304050"),
        ("CC", "１０２０３０４０５０", "1020304050"),
        ("CE", "412-345", "412345"),
        ("PA", "as 123456", "AS123456"),
        ("NIT", "900.123.456–7", "9001234567"),
        ("NIT", "123456-k", "123456K"),
        ("TI", "1020304050", "1020304050"),
        ("PPT", "5123456", "5123456"),
        ("DUI", "00016297-5", "000162975"),
        ("DPI", "1234 56787 0101", "1234567870101"),
        ("CED", "8-123-4567", "8-123-4567"),
        ("CED", "08–0123–04567", "8-123-4567"),
        ("CED", "pe-12-345", "PE-12-345"),
        ("CED", "8-AV-12-345", "8-AV-12-345"),
        ("RUC", "155612345-2-2015", "155612345-2-2015"),
    ],
)
def test_a_number_has_one_spelling(document_type: str, typed: str, spelled: str) -> None:
    assert normalise(document_type, typed) == spelled
    assert normalise(document_type, spelled) == spelled


@pytest.mark.parametrize(
    ("document_type", "typed"),
    [
        ("CC", ""),
        ("CC", "12"),
        ("CC", "0123456"),
        ("CC", "12345678901"),
        ("CC", "١٢٣٤٥٦"),
        ("CC", "1020304050\nCC"),
        ("CE", "E123456"),
        ("PA", "AB:123456"),
        ("NIT", "K"),
        ("DUI", "00016297"),
        ("DPI", "123456787010"),
        ("CED", "81234567"),
        ("CED", "14-123-4567"),
    ],
)
def test_a_wrong_number_is_told_what_is_expected(document_type: str, typed: str) -> None:
    with pytest.raises(ValueError, match=rf"^The number of a {document_type} \(.+ has .+\.$"):
        normalise(document_type, typed)


def test_the_sentence_does_not_repeat_the_number() -> None:
    with pytest.raises(ValueError, match="CC") as refused:
        normalise("CC", "98765x")
    assert "98765" not in str(refused.value)


def test_an_unknown_type_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match=", ".join(DOCUMENT_TYPES)):
        normalise("XX", "1020304050")


def test_only_a_type_of_several_countries_has_its_country_in_the_identity() -> None:
    assert document_identity("CC", "1.020.304.050", "CO") == "CC:1020304050"
    assert document_identity("CC", "1020304050", None) == "CC:1020304050"
    assert document_identity("PA", "as123456", "GT") == "PA:AS123456"
    assert document_identity("NIT", "900.123.456", "CO") == "NIT:CO:900123456"
    for country in ("PA", None):
        with pytest.raises(ValueError, match="CO, SV, GT"):
            document_identity("NIT", "900123456", country)


def test_documents_of_two_people_are_never_the_same_identity() -> None:
    first = document_identity("CED", "8-12-3456", "PA")
    assert first != document_identity("CED", "8-123-456", "PA")


def test_every_example_in_a_sentence_is_right() -> None:
    for code, document_type in DOCUMENT_TYPES.items():
        assert normalise(code, document_type.expected.rpartition("like ")[2])


def test_missing_fields_and_their_names_go_together() -> None:
    assert missing_fields(
        phone=None, first_names="", last_names=None, gender=None, birth_date=None
    ) == sum(Field)
    assert [names_of(field) for field in Field] == [[name] for name in FIELD_NAMES]
    assert names_of(Field.PHONE | Field.BIRTH_DATE) == ["phone", "birth_date"]
    assert names_of(0) == []
    assert names_of(3) is names_of(3)
