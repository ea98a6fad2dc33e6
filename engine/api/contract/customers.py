"""The contract of customers, their wallets and their history."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from engine.api.contract.invented import (
    BRAND_ID,
    COINS_EXPIRE,
    CUSTOMER_ID,
    NOW,
    POINTS_EXPIRE,
    REGISTERED,
    STORE_ID,
    TRANSACTION_ID,
)
from engine.api.contract.row import Row, Rows
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
from engine.schemas.reports import (
    ExpiringSoon,
    Statement,
    StatementTotals,
    StatementWallet,
    WalletState,
)
from engine.schemas.scalars import Asset, Day, Id
from engine.schemas.transactions import Nothing
from engine.schemas.wallets import Expiring, Posting, Postings, Wallet, Wallets

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
POINTS = Wallet(
    asset="points",
    brand_id=BRAND_ID,
    balance=1240,
    held=0,
    expiring=[Expiring(amount=1240, expires_on=POINTS_EXPIRE)],
)
COINS = Wallet(
    asset="coins",
    balance=5400,
    held=0,
    expiring=[Expiring(amount=5400, expires_on=COINS_EXPIRE)],
)
SALE = Posting(
    transaction_id=TRANSACTION_ID,
    type="accumulation",
    asset="points",
    brand_id=BRAND_ID,
    store_id=STORE_ID,
    amount=54,
    held_amount=0,
    balance=1240,
    payment_id=None,
    invoice_number="FV-20931",
    bill_amount=5_400_000,
    item=None,
    occurred_at=NOW,
    recorded_at=NOW,
)
STATEMENT = Statement(
    customer_id=CUSTOMER_ID,
    start=date(2026, 10, 24),
    end=date(2026, 11, 22),
    as_of=NOW,
    wallets=[
        StatementWallet(
            asset="points",
            brand_id=BRAND_ID,
            opening=WalletState(balance=1186, held=0),
            closing=WalletState(balance=1240, held=0),
            totals=StatementTotals(
                earned=54, converted=0, spent=0, paid=0, donated=0, expired=0, reversed=0
            ),
            expiring=ExpiringSoon(within_30_days=0, within_60_days=120, within_90_days=120),
        )
    ],
    transactions=[SALE],
    next_cursor=None,
)
DOCUMENT = Document(type="CC", number="1032456789")

QR = "L1J5WQ4ZK7XM2PVB6TN3RYHC8DFG9SAE5U2K4Q7"

PRESENCE = "C3x-LjwbT0OdjgxdHxorPAAAAAcAaZ4kEABpniUYq1J3n0m8c2R5dGhlLXRva2Vu"

PAGE = {
    "limit": Annotated[int, Meta(ge=1, le=100, description="Postings on one page.")],
    "cursor": Annotated[str, Meta(description="The `next_cursor` of the page before.")],
    "asset": Asset,
    "brand_id": Annotated[Id, Meta(description="Only of this brand.")],
}

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
                "found": Found(customer=PERSON, wallets=[COINS, POINTS]),
                "found by the QR": Found(
                    customer=PERSON,
                    presence=Presence(token=PRESENCE, expires_at=NOW),
                    wallets=[COINS, POINTS],
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
    ("GET", CUSTOMER + "/wallets"): Row(
        operation="listWallets",
        answers={200: Wallets(wallets=[COINS, POINTS], as_of=NOW)},
        summary="List what a customer has (PTS-6)",
    ),
    ("GET", CUSTOMER + "/transactions"): Row(
        operation="listTransactions",
        answers={200: Postings(transactions=[SALE], next_cursor=None)},
        problems=("not_found",),
        query=PAGE,
        summary="List a customer's postings, newest first",
    ),
    ("GET", CUSTOMER + "/statement"): Row(
        operation="readStatement",
        answers={200: STATEMENT},
        problems=("not_found",),
        query=PAGE
        | {
            "from": Annotated[
                Day, Meta(description="The first day; 29 days before `to` where it is left out.")
            ],
            "to": Annotated[Day, Meta(description="The last day; today where it is left out.")],
        },
        summary="Read a customer's statement: balances, totals, postings, what expires (PTS-4)",
        about="Days are those of each brand's country, and of Colombia for coins. Of coins, a brand"
        " sees the balances, and the totals of what happened at its stores; so does who asks for"
        " one `brand_id`.",
    ),
}
