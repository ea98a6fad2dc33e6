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
# are those of DANE's Divipola; the right side is never a left side. A short name that another
# municipality has too ("San Pedro", "Santuario") is no name of either, so it is not here.
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


@lru_cache(maxsize=4096)
def city_key(name: str) -> str:
    """Return what all spellings of a city have in common: compare cities by nothing else.

    Case, accents, punctuation, blanks and the "D.C." behind a name do not count, and the official
    name is the short one. A name that is in no list is a city of its own.
    """
    plain = DISTRICT_IN_FRONT.sub("", _plain(name))
    plain = DISTRICT.sub("", plain)
    return SHORT.get(plain, plain)
