"""Refusals of the ledger as problems, with the facts that each promises."""

from __future__ import annotations

from typing import Any, NoReturn

from engine.codes import TAKES_ITEM, Kind, Refusal
from engine.commands.problem import Problem, refusal_problem
from engine.ledger.receipts import Answer, details_of
from engine.ledger.vocabulary import PAID_IN_FULL
from engine.people.profile import names_of

FULL = "The customer has as much as a wallet can hold."
TAKEN_ENOUGH = "This customer has taken it as often as its limit allows."
ENOUGH: dict[int, str] = dict.fromkeys(TAKES_ITEM, TAKEN_ENOUGH) | {
    Kind.RESEND: "The code was sent again as often as is allowed.",
}
"""What there is enough of where a limit is reached, by what was asked for; else it is `FULL`."""


def raise_refusal(decided: Answer, *, replayed: bool = False) -> None:
    """Raise the Problem of a refused operation, with what its code promises; else do nothing."""
    if decided.refusal:
        _refuse(decided, replayed=replayed)


def _refuse(decided: Answer, *, replayed: bool = False) -> NoReturn:
    refusal = Refusal(decided.refusal)
    members: dict[str, Any] = {}
    if refusal is Refusal.PROFILE_INCOMPLETE:
        members = {"missing_fields": names_of(decided.missing_fields)}
    elif refusal in (Refusal.INSUFFICIENT_POINTS, Refusal.INSUFFICIENT_COINS):
        members = {"available": decided.balance, "required": decided.requested}
    elif refusal is Refusal.CODE_INVALID:
        members = {"tries_left": decided.tries_left}
    elif refusal is Refusal.EXCEEDS_INVOICE:
        members = {"left": details_of(decided).get("left", 0)}
    problem: Problem = refusal_problem(refusal, **members)
    if members.get("left") == 0:
        problem.detail = PAID_IN_FULL
    if refusal is Refusal.LIMIT_REACHED:
        problem.detail = ENOUGH.get(decided.kind, FULL)
    if refusal is Refusal.NOT_AVAILABLE and decided.kind == Kind.CASHBACK:
        problem.detail = "The brand of this store issues no coins at this time."
    problem.replayed = replayed
    raise problem
