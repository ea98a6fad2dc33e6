"""The words that the demo network is made of: brands, rewards, places, and names of people.

Every brand, partner and organisation is invented. The programmes of the brands stand here too,
one line a brand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CURRENCIES: Final = {"CO": "COP", "SV": "USD", "GT": "GTQ", "PA": "USD"}
"""The four countries, and what their bills are in."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A brand before it has an id; `coins` of 0 says that it issues none."""

    name: str
    country: str
    sector: str
    points: int
    points_amount: int  # minor units: 100_000 are 1 000 COP, 100 are 1.00 USD
    points_validity_days: int
    coins: int = 0
    coins_amount: int = 10_000
    receiver: bool = False


DRAFTS: Final = (
    Draft("Café Brumalta", "CO", "coffee", 1, 100_000, 365, coins=1, receiver=True),
    Draft("Droguerías Vitalumbre", "CO", "pharmacy", 1, 50_000, 180, receiver=True),
    Draft("Combustibles Rutandina", "CO", "fuel", 1, 200_000, 365, coins=1, coins_amount=20_000),
    Draft("Calzado Huellamar", "CO", "shoes", 3, 500_000, 540, coins=2, receiver=True),
    Draft("El Fogón de Amaranta", "CO", "restaurant", 1, 150_000, 180, receiver=True),
    Draft("Mercados Cosechal", "CO", "market", 1, 250_000, 365, coins=1, receiver=True),
    Draft("Panaderías Trigalera", "CO", "sweets", 2, 100_000, 90),
    Draft("Hamburguesas Don Chispín", "CO", "restaurant", 1, 80_000, 120, coins=2),
    Draft("Helados Nevatina", "CO", "sweets", 1, 60_000, 90, receiver=True),
    Draft("Moda Hilandela", "CO", "fashion", 5, 1_000_000, 730, coins=3, receiver=True),
    Draft("Ópticas Ojalince", "CO", "optics", 10, 2_500_000, 730),
    Draft("Ferreterías Martillal", "CO", "hardware", 1, 300_000, 365, coins=1, coins_amount=25_000),
    Draft("Librerías Tintazul", "CO", "books", 1, 120_000, 365, receiver=True),
    Draft("Mascotas Colimove", "CO", "pets", 2, 250_000, 270),
    Draft("Pizzería Quesandino", "CO", "restaurant", 1, 90_000, 150, coins=1, receiver=True),
    Draft("Cines Telonera", "CO", "cinema", 1, 70_000, 240, receiver=True),
    Draft("Jugos Guanabanía", "CO", "coffee", 1, 40_000, 90),
    Draft("Hogar Cobijal", "CO", "home", 4, 1_000_000, 540, coins=1, coins_amount=5_000),
    Draft("Pupusas La Comalera", "SV", "restaurant", 1, 100, 120),
    Draft("Farmacias Curalba", "SV", "pharmacy", 2, 150, 365),
    Draft("Gasolineras Volcanera", "SV", "fuel", 1, 200, 365),
    Draft("Zapaterías Andarela", "SV", "shoes", 1, 125, 730),
    Draft("Café Atilanés", "GT", "coffee", 1, 1_000, 180),
    Draft("Pollo Tostachín", "GT", "restaurant", 1, 800, 120),
    Draft("Farmacias Botikal", "GT", "pharmacy", 3, 2_500, 365),
    Draft("Súper Canastela", "GT", "market", 1, 1_500, 270),
    Draft("Café Istmeral", "PA", "coffee", 1, 100, 365),
    Draft("Mariscos Puerto Caracolí", "PA", "restaurant", 1, 300, 180),
    Draft("Combustibles Canalino", "PA", "fuel", 1, 250, 365),
    Draft("Perfumerías Aromela", "PA", "perfume", 5, 600, 730),
)
"""Brand 1 first. Coins are in Colombia only (COI-2, COI-3), and for each 100 COP unless said so."""

OLDER_POINTS_AMOUNTS: Final = {3: 250_000, 20: 200}
"""What a point took, by brand, until the programme that is in force now."""

REWARDS: Final = {
    "coffee": (
        "Galleta de avena", "Café pequeño", "Capuchino mediano",
        "Desayuno de la casa", "Libra de café de origen", "Prensa francesa",
    ),
    "pharmacy": (
        "Curitas de bolsillo", "Gel antibacterial", "Protector labial",
        "Bloqueador solar", "Kit de primeros auxilios", "Tensiómetro digital",
    ),
    "fuel": (
        "Ambientador para el carro", "Botella de agua", "Lavado sencillo",
        "Bono de combustible", "Cambio de aceite", "Juego de llantas",
    ),
    "shoes": (
        "Cordones de colores", "Medias tobilleras", "Plantillas de gel",
        "Sandalias de playa", "Tenis urbanos", "Botas de cuero",
    ),
    "restaurant": (
        "Salsa de la casa", "Gaseosa personal", "Entrada para compartir",
        "Plato del día", "Combo familiar", "Cena para dos",
    ),
    "market": (
        "Bolsa reutilizable", "Libra de arroz", "Canasta de frutas",
        "Mercado semanal", "Olla a presión", "Mercado del mes",
    ),
    "sweets": (
        "Barquillo sencillo", "Porción de ponqué", "Docena de galletas",
        "Torta para seis", "Caja de postres", "Mesa dulce para fiesta",
    ),
    "fashion": (
        "Moño para el pelo", "Pañoleta estampada", "Camiseta básica",
        "Pantalón de dril", "Chaqueta liviana", "Vestido de temporada",
    ),
    "optics": (
        "Paño para lentes", "Estuche rígido", "Líquido limpiador",
        "Examen visual", "Gafas de sol", "Montura y lentes formulados",
    ),
    "hardware": (
        "Cinta aislante", "Juego de brocas", "Linterna de mano",
        "Galón de pintura", "Taladro percutor", "Escalera de aluminio",
    ),
    "books": (
        "Separador de páginas", "Libreta de bolsillo", "Lapicero de gel",
        "Novela de bolsillo", "Atlas ilustrado", "Colección de clásicos",
    ),
    "pets": (
        "Galleta para perro", "Pelota de caucho", "Collar ajustable",
        "Baño y peluquería", "Bulto de concentrado", "Guacal de viaje",
    ),
    "cinema": (
        "Dulces surtidos", "Crispetas pequeñas", "Entrada entre semana",
        "Combo para dos", "Función privada para cuatro", "Un año de estrenos",
    ),
    "home": (
        "Vela aromática", "Portarretratos", "Juego de toallas",
        "Cobija de lana", "Vajilla para cuatro", "Silla reclinable",
    ),
    "perfume": (
        "Muestra de fragancia", "Jabón artesanal", "Crema de manos",
        "Loción corporal", "Perfume de 50 ml", "Cofre de fragancias",
    ),
}  # fmt: skip
"""What each sector gives, from the smallest to the largest."""

PRICES: Final = (
    (5, 10, 20), (40, 50, 60), (120, 150, 180), (400, 500, 600), (1_200, 1_500, 2_000),
    (3_000, 4_000, 5_000),
)  # fmt: skip
"""What they cost in points, in the same order: brand after brand takes the next of each three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDraft:
    """What a brand gives beside its plain rewards, before it has an id."""

    kind: str
    brand_id: int
    name: str
    points: int = 0
    coins: int = 0
    stock: int | None = None
    customer_limit: int | None = None
    in_its_time: bool = False
    segment: str | None = None


ITEMS: Final = (
    ItemDraft(
        kind="reward", brand_id=1, name="Termo de aniversario", points=200, stock=25,
        customer_limit=1,
    ),
    ItemDraft(
        kind="reward", brand_id=2, name="Botiquín de viaje", points=150, stock=50,
        customer_limit=2,
    ),
    ItemDraft(kind="reward", brand_id=16, name="Boleta de preestreno", points=300, stock=5),
    ItemDraft(
        kind="promotion", brand_id=1, name="Capuchino a mitad de precio", points=30,
        in_its_time=True,
    ),
    ItemDraft(
        kind="promotion", brand_id=1, name="Postre de cumpleaños", customer_limit=1,
        segment='{"birthday_month":true}',
    ),
    ItemDraft(kind="promotion", brand_id=1, name="Café de origen con coins", coins=5_000),
    ItemDraft(
        kind="promotion", brand_id=4, name="Sandalias para ella", points=45,
        in_its_time=True, segment='{"genders":["F"]}',
    ),
    ItemDraft(
        kind="promotion", brand_id=6, name="Mercado joven", points=100, customer_limit=2,
        segment='{"age_min":18,"age_max":28}',
    ),
    ItemDraft(
        kind="promotion", brand_id=13, name="Lectores de la capital", points=15, stock=40,
        segment='{"cities":["Bogotá"]}',
    ),
    ItemDraft(kind="gift", brand_id=1, name="Café de bienvenida"),
    ItemDraft(kind="gift", brand_id=2, name="Gel antibacterial de cortesía", in_its_time=True),
)  # fmt: skip
"""Rewards with a stock or a limit (RED-5), promotions (RED-2, RED-6) and gifts (RED-3)."""

CITIES: Final = {
    "CO": (
        "Bogotá", "Medellín", "Cali", "Barranquilla", "Cartagena", "Bucaramanga", "Pereira",
        "Manizales", "Santa Marta", "Ibagué", "Villavicencio", "Pasto",
    ),
    "SV": ("San Salvador", "Santa Ana", "San Miguel", "Santa Tecla"),
    "GT": ("Ciudad de Guatemala", "Quetzaltenango", "Antigua Guatemala", "Escuintla"),
    "PA": ("Ciudad de Panamá", "Colón", "David", "Santiago"),
}  # fmt: skip

PLACES: Final = (
    "Centro", "Norte", "Sur", "Plaza Mayor", "Parque Central", "Terminal", "Aeropuerto",
    "Avenida Quinta", "Calle Real", "Paseo del Río", "Los Almendros", "La Colina",
)  # fmt: skip
"""Where in its city a store is."""

PARTNERS: Final = ("Puntos Alborada Ahorro", "Millas Cóndora")
ORGANISATIONS: Final = (
    "Fundación Aulas del Páramo", "Corporación Río Clarito", "Fundación Mesa Abierta",
)  # fmt: skip

FIRST_NAMES: Final = {
    "F": (
        "Alejandra", "Ana", "Andrea", "Beatriz", "Camila", "Carolina", "Catalina", "Claudia",
        "Daniela", "Diana", "Elena", "Gabriela", "Gloria", "Isabel", "Juliana", "Laura", "Liliana",
        "Lucía", "Luz", "Marcela", "María", "Mariana", "Martha", "Mónica", "Natalia", "Paola",
        "Patricia", "Paula", "Rosa", "Sandra", "Sara", "Sofía", "Teresa", "Valentina", "Verónica",
        "Victoria", "Ximena", "Yolanda",
    ),
    "M": (
        "Alberto", "Alejandro", "Álvaro", "Andrés", "Antonio", "Camilo", "Carlos", "César",
        "Cristian", "Daniel", "David", "Diego", "Eduardo", "Emilio", "Esteban", "Felipe",
        "Fernando", "Francisco", "Germán", "Gustavo", "Héctor", "Hernán", "Hugo", "Iván", "Javier",
        "Jorge", "José", "Juan", "Julián", "Luis", "Manuel", "Mauricio", "Miguel", "Nicolás",
        "Óscar", "Pablo", "Ricardo", "Santiago", "Sebastián",
    ),
}  # fmt: skip

LAST_NAMES: Final = (
    "Acosta", "Aguilar", "Álvarez", "Arango", "Ávila", "Barrios", "Beltrán", "Bermúdez", "Cabrera",
    "Cárdenas", "Castillo", "Castro", "Contreras", "Córdoba", "Cortés", "Cruz", "Delgado", "Díaz",
    "Escobar", "Espinosa", "Fajardo", "Flores", "Franco", "García", "Giraldo", "Gómez", "González",
    "Guerrero", "Gutiérrez", "Hernández", "Herrera", "Jiménez", "León", "Londoño", "López",
    "Marín", "Martínez", "Mejía", "Méndez", "Mendoza", "Molina", "Montoya", "Mora", "Morales",
    "Moreno", "Muñoz", "Navarro", "Núñez", "Ochoa", "Ortiz", "Osorio", "Ospina", "Palacios",
    "Parra", "Peña", "Pérez", "Quintero", "Ramírez", "Ramos", "Restrepo", "Reyes", "Ríos",
    "Rivera", "Rodríguez", "Rojas", "Romero", "Rueda", "Salazar", "Sánchez", "Sierra", "Silva",
    "Suárez", "Torres", "Trujillo", "Valencia", "Vargas", "Vásquez", "Vega", "Velásquez", "Zapata",
)  # fmt: skip

MAIL_DOMAINS: Final = (
    "example.com", "example.net", "example.org", "correo.example", "buzon.example",
)  # fmt: skip
"""Domains that RFC 2606 reserves, so that no mail of the demo reaches anybody."""
