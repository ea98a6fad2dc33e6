"""The contract of customers."""

from __future__ import annotations

from datetime import date

from msgspec.structs import replace

from engine.api.contract.row import Row, Rows
from engine.api.example_values import (
    CUSTOMER_ID,
    NOW,
    REGISTERED,
)
from engine.api.wallets import COINS_WALLET, POINTS_WALLET
from engine.codes import Kind
from engine.schemas.people import (
    Customer,
    Document,
    Found,
    Lookup,
    Presence,
    ProfileChange,
    Registration,
    ShownDocument,
    ShownQr,
    Standing,
)
from engine.schemas.transactions import Nothing

CUSTOMERS = "/v1/customers"
CUSTOMER = CUSTOMERS + "/{customer_id}"

PERSON = Customer(
    customer_id=CUSTOMER_ID,
    status="active",
    profile_complete=True,
    missing_fields=[],
    document=ShownDocument(type="CC", number="******6789"),
    email="ana@example.com",
    phone="+573001234567",
    first_names="Ana María",
    last_names="Gómez",
    gender="F",
    birth_date=date(1990, 5, 17),
    country="CO",
    city="Bogotá",
    created_at=REGISTERED,
)
DOCUMENT = Document(type="CC", number="1032456789")

QR = "L1J5WQ4ZK7XM2PVB6TN3RYHC8DFG9SAE5U2K4Q7"

PRESENCE = "C3x-LjwbT0OdjgxdHxorPAAAAAcAaZ4kEABpniUYq1J3n0m8c2R5dGhlLXRva2Vu"

ROWS: Rows = {
    ("POST", CUSTOMERS): Row(
        operation="registerCustomer",
        body={
            "quick": Registration(document=DOCUMENT, email="ana@example.com"),
            "full": Registration(
                document=DOCUMENT,
                email="ana@example.com",
                phone="300 123 4567",
                first_names="Ana María",
                last_names="Gómez",
                gender="F",
                birth_date=date(1990, 5, 17),
                city="Bogotá",
            ),
        },
        answers={201: PERSON},
        problems=("customer_exists", "too_many_guesses"),
        about="Where they are left out, `country` is that of the document, else that of an"
        " international phone, else that of the store or the brand whose key this is, and `city`"
        " that of the store (CUS-3). The keys of the network and the app have no country. A"
        " national phone is read as one of that country, or else of the store's. Documents that"
        " carry the same number of the same person are one identity (CUS-10): TI, CC, RC and the"
        " NIT of a person; CED and RUC; DUI and the NIT of nine digits; DPI, CUI and the NIT of"
        " thirteen. A passport is one of its issuing country; without `country` it may be anybody's"
        " of that number, so it meets all of them.",
    ),
    ("POST", CUSTOMERS + "/lookup"): Row(
        operation="lookUpCustomer",
        body={
            "document": Lookup(document=DOCUMENT),
            "phone": Lookup(phone="300 123 4567"),
            "email": Lookup(email="ana@example.com"),
            "qr": Lookup(qr=QR),
            "text": Lookup(text="1.032.456.789"),
        },
        answers={
            200: {
                "found": Found(customer=PERSON, wallets=[COINS_WALLET, POINTS_WALLET]),
                "found by the QR": Found(
                    customer=PERSON,
                    presence=Presence(token=PRESENCE, expires_at=NOW),
                    wallets=[COINS_WALLET, POINTS_WALLET],
                ),
            }
        },
        problems=("customer_not_found", "qr_invalid", "too_many_guesses"),
        summary="Find a customer by what they have with them (CUS-2)",
        about="`text` is what a cashier types or scans, without its kind: a document of any"
        " country of the network, a passport, a phone, an e-mail or a QR (CUS-15). Where it fits"
        " several customers, the answer has `matches` alone, those by documents and phones of the"
        " store's country first, all masked. One that fits nobody counts as one miss. A QR serves"
        " the first store that looks it up, again and again within its minute (COI-10). One that is"
        " over, has paid, is another store's or none of ours is 409 `qr_invalid`. What a scanner"
        " adds to it is dropped: blanks, control characters, the symbology `]Q1`; caps lock on a"
        " QWERTY keyboard does no harm.",
    ),
    ("GET", CUSTOMER): Row(
        operation="readCustomer",
        answers={200: PERSON},
        summary="Read a customer (CUS-1)",
    ),
    ("PATCH", CUSTOMER): Row(
        operation="changeCustomer",
        body=ProfileChange(phone="300 123 4567", birth_date=date(1990, 5, 17)),
        answers={200: PERSON},
        problems=("customer_exists", "too_many_guesses"),
        summary="Change a profile: what is left out stays as it is (CUS-6)",
    ),
    ("POST", CUSTOMER + "/block"): Row(
        operation="blockCustomer",
        key="optional",
        body=Standing(reason="Case 4711: many accumulations in a short time"),
        answers={200: replace(PERSON, status="blocked")},
        verbs=(Kind.BLOCK,),
        summary="Block a customer: nothing is earned or spent from now on (CUS-9, FRD-2)",
    ),
    ("POST", CUSTOMER + "/unblock"): Row(
        operation="unblockCustomer",
        key="optional",
        body=Standing(reason="Case 4711: explained"),
        answers={200: PERSON},
        verbs=(Kind.UNBLOCK,),
        summary="Unblock a customer (CUS-9, FRD-2)",
    ),
    ("POST", CUSTOMER + "/qr"): Row(
        operation="showQr",
        body=Nothing(),
        answers={200: ShownQr(qr=QR, expires_at=NOW)},
        summary="Make the QR that the customer's app shows; it lives for a minute (COI-6)",
        about="It is one that has not paid and that no store has looked up (COI-10).",
    ),
}
