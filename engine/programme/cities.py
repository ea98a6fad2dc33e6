"""Cities by one name each, however a person or a public list writes them (RED-2)."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

NO_LETTERS: Final = re.compile(r"[\W_]+")
# What Colombia's districts have behind their names, once the name is in small plain letters: D.C.,
# D.T. y C., D.T.C.H., D.E.I.P., or in full.
DISTRICT: Final = re.compile(
    r" (?:d ?c|d ?t ?y? ?c(?: ?e? ?h)?|d e|d ?e ?i ?p"
    r"|distrito (?:capital|turistico|especial)\b.*)\Z"
)
DISTRICT_IN_FRONT: Final = re.compile(
    r"\A(?:distrito (?:capital|especial|turistico(?: y)? cultural(?: e historico)?) de) "
)

# The official name, or another one in use, and the short name that people type. Names of Colombia
# are those of DANE's Divipola; the right side is never a left side. The short
# names of two municipalities ("San Pedro", "Santuario") are ambiguous and are left out.
NAMES: Final = """
Santafé de Bogotá = Bogotá
Santa Fe de Bogotá = Bogotá
Cartagena de Indias = Cartagena
San José de Cúcuta = Cúcuta
Santiago de Cali = Cali
Guadalajara de Buga = Buga
San Juan de Pasto = Pasto
Santa Cruz de Lorica = Lorica
Santa Cruz de Mompox = Mompós
Mompox = Mompós
San Andrés de Tumaco = Tumaco
San Sebastián de Mariquita = Mariquita
San Bonifacio de Ibagué = Ibagué
San Juan de Girón = Girón
Villa de San Diego de Ubaté = Ubaté
Villa de Leiva = Villa de Leyva
Villa Rosario = Villa del Rosario
Santiago de Tolú = Tolú
San José de Toluviejo = Toluviejo
Tolú Viejo = Toluviejo
San Luis de Sincé = Sincé
San Antonio de Palmito = Palmito
San Andrés de Sotavento = San Andrés Sotavento
Purísima de la Concepción = Purísima
Santa Fe de Antioquia = Santafé de Antioquia
El Carmen de Viboral = Carmen de Viboral
El Carmen de Bolívar = Carmen de Bolívar
El Carmen de Chucurí = Carmen de Chucurí
El Carmen de Atrato = Carmen de Atrato
El Carmen de Apicalá = Carmen de Apicalá
Carmen del Darién = El Carmen del Darién
Don Matías = Donmatías
Vista Hermosa = Vistahermosa
Pueblo Viejo = Puebloviejo
Sitio Nuevo = Sitionuevo
Arroyo Hondo = Arroyohondo
Cerro de San Antonio = Cerro San Antonio
San Juan de Río Seco = San Juan de Rioseco
San Vicente de Chucurí = San Vicente Chucurí
Güicán de la Sierra = Güicán
Cuaspud Carlosama = Cuaspud
Carlosama = Cuaspud
Magüí Payán = Magüí
Puerto Leguízamo = Leguízamo
Puerto Inírida = Inírida
Piendamó Tunía = Piendamó
López de Micay = López
Sotará Paispamba = Sotará
Calima El Darién = Calima
Armero Guayabal = Armero
Chivolo = Chibolo
Alto Baudó Pie de Pató = Alto Baudó
Bajo Baudó Pizarro = Bajo Baudó
Litoral del San Juan = El Litoral del San Juan
Nuestra Señora de la Asunción de Panamá = Panamá
Ciudad de Panamá = Panamá
Panama City = Panamá
San José de David = David
Ciudad de Guatemala = Guatemala
Nueva Guatemala de la Asunción = Guatemala
Guatemala City = Guatemala
Quezaltenango = Quetzaltenango
Xela = Quetzaltenango
La Antigua Guatemala = Antigua Guatemala
Ciudad de San Salvador = San Salvador
Nueva San Salvador = Santa Tecla
"""

# What people add behind a city: where it is, in Divipola's words and in those of every day.
REGIONS: Final = """
Amazonas, Antioquia, Arauca, Atlántico, Bolívar, Boyacá, Caldas, Caquetá, Casanare, Cauca, Cesar
Chocó, Córdoba, Cundinamarca, Guainía, Guaviare, Huila, La Guajira, Guajira, Magdalena, Meta, Nariño
Norte de Santander, Putumayo, Quindío, Risaralda, San Andrés, San Andrés y Providencia
San Andrés Providencia y Santa Catalina, Santander, Sucre, Tolima, Valle del Cauca, Valle, Vaupés
Archipiélago de San Andrés Providencia y Santa Catalina, Vichada
Colombia, Panamá, República de Panamá, El Salvador, Guatemala
"""
# A hyphen without blanks is within a name: Puerto-Boyacá. What is in brackets ends the name.
BEFORE_REGION: Final = re.compile(r"[,(\[]|\s[-\u2010-\u2015\u2212]|[-\u2010-\u2015\u2212]\s")


def _plain(name: str) -> str:
    """Return a name in small letters without accents, marks and double blanks."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    bare = "".join(one for one in letters if not unicodedata.combining(one))
    return NO_LETTERS.sub(" ", bare).strip()


SHORT: Final = {
    _plain(official): _plain(short)
    for official, _, short in (line.partition(" = ") for line in NAMES.strip().splitlines())
}
"""The short name by the official one, both plain."""


SPELLED: Final = frozenset(SHORT) | frozenset(SHORT.values())
REGION_NAMES: Final = frozenset(
    f"{kind}{_plain(region)}"
    for region in re.split("[,\n]", REGIONS.strip())
    for kind in ("", "departamento de ", "departamento del ")
)


@lru_cache(maxsize=4096)
def city_key(name: str) -> str | None:
    """Return what all spellings of a city have in common: compare cities by nothing else.

    Case, accents, punctuation, blanks, the "D.C." behind a name and its department or country do
    not count, and the official name is the short one. A name that is in no list is a city of its
    own; one without a letter or a digit is none, and equals no other.
    """
    plain = DISTRICT_IN_FRONT.sub("", _plain(_without_region(name)))
    plain = DISTRICT.sub("", plain)
    return None if plain == "" else SHORT.get(plain, plain)


def _without_region(name: str) -> str:
    """Return a name without the department and the country behind it, one of a city as it is."""
    if _plain(name) in SPELLED:
        return name  # Antigua, Guatemala is a city, and Antigua none
    for mark in BEFORE_REGION.finditer(name):
        city = name[: mark.start()]
        if _plain(name[mark.end() :]) in REGION_NAMES and _plain(city) != "":
            return _without_region(city)
    return name
