"""Shapes of problems: the members of RFC 9457, and what a code promises beyond them."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from engine.schemas.scalars import Amount, Currency, Moment


class Problem(Struct, kw_only=True):
    """What went wrong (RFC 9457).

    Programs read `code`, which never changes; `title` is in the language of `Accept-Language`, and
    `detail` says what to do. Tell support the `request_id`.
    """

    type: Annotated[str, Meta(pattern=r"^urn:leal:problem:[a-z_]+\Z")]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    code: str
    request_id: str


class ProfileIncomplete(Problem, kw_only=True):
    """The problem of a profile that lacks what redeeming and paying need (CUS-7)."""

    code: Literal["profile_incomplete"]
    missing_fields: list[str]


class NotEnough(Problem, kw_only=True):
    """The problem of a wallet that has less than is asked for (COI-7)."""

    code: Literal["insufficient_points", "insufficient_coins"]
    available: int
    required: int


class CodeInvalid(Problem, kw_only=True):
    """The problem of a wrong code: at 0 `tries_left` the coins are back (COI-6)."""

    code: Literal["code_invalid"]
    tries_left: Annotated[int, Meta(ge=0)]


class CustomerExists(Problem, kw_only=True):
    """The problem of a person who is registered already, and who they are (CUS-1)."""

    code: Literal["customer_exists"]
    customer_id: UUID


class InvoiceDiffers(Problem, kw_only=True):
    """The problem of an invoice that was printed with other data, which it has (INV-1)."""

    code: Literal["invoice_differs"]
    amount: Amount
    currency: Currency
    issued_at: Moment


class ExceedsInvoice(Problem, kw_only=True):
    """The problem of coins that are more than is left of an invoice (INV-8); `left` in coins."""

    code: Literal["exceeds_invoice"]
    left: Annotated[int, Meta(ge=0)]


WITH_MEMBERS: dict[str, type[Problem]] = {
    "profile_incomplete": ProfileIncomplete,
    "insufficient_points": NotEnough,
    "insufficient_coins": NotEnough,
    "code_invalid": CodeInvalid,
    "customer_exists": CustomerExists,
    "invoice_differs": InvoiceDiffers,
    "exceeds_invoice": ExceedsInvoice,
}
"""Shapes of the problems that promise more than the standard's members; any other is `Problem`."""
