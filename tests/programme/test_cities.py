"""A city is one, however people and public lists write it (RED-2)."""

from __future__ import annotations

from datetime import date
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.people.customers import Profile
from engine.programme.cities import NAMES, SHORT, city_key
from engine.programme.segments import Segment

ROWS = [tuple(line.split(" = ")) for line in NAMES.strip().splitlines()]
TODAY = date(2026, 3, 15)


@pytest.mark.parametrize(
    ("official", "short"),
    [
        ("Bogotá D.C.", "Bogotá"),
        ("BOGOTÁ, D.C.", "Bogotá"),
        ("Bogota DC", "Bogotá"),
        ("Bogotá, D. C.", "Bogotá"),
        ("Bogotá - Distrito Capital", "Bogotá"),
        ("Santafé de Bogotá, D.C.", "Bogotá"),
        ("Cartagena de Indias", "Cartagena"),
        ("Cartagena de Indias, D.T. y C.", "Cartagena"),
        ("San José de Cúcuta", "Cúcuta"),
        ("Santiago de Cali", "Cali"),
        ("Distrito Especial de Santiago de Cali", "Cali"),
        ("Guadalajara de Buga", "Buga"),
        ("San Juan de Pasto", "Pasto"),
        ("Santa Cruz de Lorica", "Lorica"),
        ("San Andrés de Tumaco", "Tumaco"),
        ("Villa de San Diego de Ubaté", "Ubaté"),
        ("Santa Cruz de Mompox", "Mompós"),
        ("Santiago de Tolú", "Tolú"),
        ("Santa Marta D.T.C.H.", "Santa Marta"),
        ("Barranquilla, D.E.I.P.", "Barranquilla"),
        ("Cali, D.E.", "Cali"),
        ("Ciudad de Panamá", "Panamá"),
        ("Nueva Guatemala de la Asunción", "Ciudad de Guatemala"),
    ],
)
def test_the_official_name_is_the_short_one(official: str, short: str) -> None:
    assert city_key(official) == city_key(short)
    for listed, lived_in in ((official, short), (short, official)):
        customer = Profile(
            document_type="CC", document_number="1", email="ana@example.com", city=lived_in
        )
        assert Segment(cities=(listed,)).matches(customer, TODAY)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cartagena", "Cartagena del Chairá"),
        ("Santa Rosa de Cabal", "Santa Rosa de Viterbo"),
        ("San Andrés", "San Andrés de Tumaco"),
        ("Santander de Quilichao", "Santander"),
        ("San José del Guaviare", "San José de Cúcuta"),
        ("Villa Rica", "Villarrica"),
        ("Providencia", "Santa Catalina"),
        ("Villa", "Villa de"),
    ],
)
def test_cities_with_much_of_a_name_in_common_are_two(one: str, other: str) -> None:
    assert city_key(one) != city_key(other)


def test_no_name_of_the_table_leads_to_one_that_leads_on() -> None:
    assert len(SHORT) == len(ROWS)
    assert not set(SHORT.values()) & set(SHORT)


@given(
    st.sampled_from([name for row in ROWS for name in row] + ["Medellín", "Ibagué", "La Unión"]),
    st.sampled_from([str, str.upper, str.lower, str.title]),
    st.sampled_from(["NFC", "NFD"]),
    st.sampled_from([" ", "  ", "-", " . "]),
    st.sampled_from(["", ".", " ", ", D.C.", " D. C.", " dc"]),
)
def test_case_accents_and_marks_do_not_count(name, spelled, form, blank, end) -> None:
    typed = normalize(form, spelled(name)).replace(" ", blank) + end
    assert city_key(typed) == city_key(name)


@pytest.mark.parametrize(
    ("typed", "city"),
    [
        ("Bogotá, Colombia", "Bogotá"),
        ("Bogotá, D.C., Colombia", "Bogotá"),
        ("Bogotá D.C. (Cundinamarca)", "Bogotá"),
        ("Cali, Valle del Cauca", "Cali"),
        ("Cali (Valle)", "Cali"),
        ("Santiago de Cali [Valle del Cauca] - Colombia", "Cali"),
        ("Medellín - Antioquia", "Medellín"),
        ("MEDELLIN – ANTIOQUIA", "Medellín"),
        ("Medellín -Antioquia", "Medellín"),
        ("Medellín, Departamento de Antioquia, Colombia.", "Medellín"),
        ("Cartagena de Indias, Bolívar", "Cartagena"),
        ("San Andrés, Archipiélago de San Andrés, Providencia y Santa Catalina", "San Andrés"),
        ("San Salvador, El Salvador", "San Salvador"),
        ("Panamá, Panamá", "Ciudad de Panamá"),
        ("Guatemala, Guatemala", "Ciudad de Guatemala"),
        ("Antigua, Guatemala", "Antigua Guatemala"),
        ("Santa Fe de Antioquia (Antioquia)", "Santafé de Antioquia"),
        ("Sucre, Sucre", "Sucre"),
    ],
)
def test_the_department_or_country_behind_a_city_does_not_count(typed: str, city: str) -> None:
    assert city_key(typed) == city_key(city)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Puerto-Boyacá", "Puerto"),
        ("Ciudad Bolívar", "Ciudad"),
        ("Norte, Santander", "Santander"),
        ("Medellín, Cauca y Nechí", "Medellín"),
    ],
)
def test_a_department_within_a_name_counts(one: str, other: str) -> None:
    assert city_key(one) != city_key(other)


@given(
    st.sampled_from([name for row in ROWS for name in row] + ["Medellín", "Ibagué", "La Unión"]),
    st.sampled_from(
        ["{}, {}", "{},{}", "{} - {}", "{} – {}", "{} ({})", "{} [{}]", "{}, {}, Colombia"]
    ),
    st.sampled_from(
        ["Antioquia", "Norte de Santander", "VALLE DEL CAUCA", "La Guajira", "Colombia"]
    ),
)
def test_every_city_is_itself_with_a_department(name: str, form: str, region: str) -> None:
    assert city_key(form.format(name, region)) == city_key(name)


@pytest.mark.parametrize("nothing", ["", " ", "-", "…", "()", ", .", "\u0301"])
def test_a_name_that_leaves_nothing_is_no_city(nothing: str) -> None:
    assert city_key(nothing) is None
    customer = Profile(
        document_type="CC", document_number="1", email="ana@example.com", city=nothing
    )
    assert not Segment(cities=(nothing, "--")).matches(customer, TODAY)


@given(st.text(max_size=30))
def test_any_text_is_a_city_or_none_and_its_key_is_stable(text: str) -> None:
    key = city_key(text)
    assert key != ""
    if key is not None:
        assert city_key(key) == key
