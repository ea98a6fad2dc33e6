"""What goes wrong, as a client reads it: problem+json (RFC 9457) with a stable `code`.

Every code that is no refusal of the ledger has its row here; the refusals have theirs, in order of
precedence, in engine.codes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson

from engine.codes import Refusal
from engine.commands.problem import Problem
from engine.errors import (
    CustomerNotFound,
    EngineError,
    InvoicePaid,
    KeyReused,
    NotDurable,
    OutcomeUnknown,
    Overloaded,
    PaymentNotFound,
    Quarantined,
    ReadOnly,
    Unavailable,
)
from engine.http.response import REPLAYED
from engine.http.spanish import detail_in_spanish
from engine.ledger.vocabulary import HTTP_STATUS_REFUSED, REFUSALS
from engine.network.folding import SumsOfAnotherServer
from engine.people.failed_codes import TooManyFailedCodes
from engine.people.guesses import TooManyGuesses
from engine.people.keys import KeyLimitReached, KeyRevoked, LastNetworkKey
from engine.people.passwords import TooManySignIns

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
QUALITY = re.compile(r"q\s*=\s*([01](?:\.[0-9]{0,3})?)")


@dataclass(frozen=True, slots=True)
class Row:
    """A code's status and its titles."""

    status: int
    title_en: str
    title_es: str


PROBLEMS: dict[str, Row] = {
    "malformed_json": Row(400, "The body is not JSON", "El cuerpo no es JSON"),
    "invalid_request": Row(400, "The request is not valid", "La solicitud no es válida"),
    "currency_mismatch": Row(
        400, "The currency is not the store's", "La moneda no es la de la tienda"
    ),
    "store_required": Row(400, "A store is needed", "Falta la tienda"),
    "amount_required": Row(400, "An amount is needed", "Falta el valor"),
    "occurred_at_out_of_range": Row(
        400, "The sale is too old or in the future", "La venta es muy antigua o es futura"
    ),
    "document_not_checked": Row(
        400, "The document was not checked", "No se verificó el documento del cliente"
    ),
    "promotion_costs_coins": Row(
        400, "The promotion is paid for with coins", "La promoción se paga con coins"
    ),
    "not_in_bulk": Row(
        400, "This cannot be sent in a bulk upload", "No se puede enviar en una carga masiva"
    ),
    "idempotency_key_missing": Row(
        400, "An idempotency key is needed", "Falta la clave de idempotencia"
    ),
    "idempotency_key_invalid": Row(
        400, "The idempotency key is not valid", "La clave de idempotencia no es válida"
    ),
    "unauthorized": Row(401, "A valid key is needed", "Se necesita una clave válida"),
    "sign_in_failed": Row(
        401, "The user or the password is wrong", "El usuario o la contraseña no son correctos"
    ),
    "forbidden": Row(403, "This key may not do this", "Esta clave no puede hacer esto"),
    "not_found": Row(404, "There is nothing here", "No hay nada aquí"),
    "customer_not_found": Row(
        404,
        "There is no such customer",
        "El usuario no se pudo encontrar ¿Te gustaría crear una cuenta?",
    ),
    "brand_not_found": Row(404, "There is no such brand", "No existe esa marca"),
    "store_not_found": Row(404, "There is no such store", "No existe esa tienda"),
    "programme_not_found": Row(
        404, "There is no such version of the programme", "No existe esa versión del programa"
    ),
    "partner_not_found": Row(404, "There is no such partner", "No existe ese aliado"),
    "organisation_not_found": Row(
        404, "There is no such organisation", "No existe esa organización"
    ),
    "session_not_found": Row(404, "There is no such session", "No existe esa sesión"),
    "cashier_not_found": Row(404, "There is no such cashier", "No existe ese cajero"),
    "key_not_found": Row(404, "There is no such key", "No existe esa clave"),
    "reward_not_found": Row(404, "There is no such reward", "No existe ese premio"),
    "promotion_not_found": Row(404, "There is no such promotion", "No existe esa promoción"),
    "gift_not_found": Row(404, "There is no such gift", "No existe ese regalo"),
    "payment_not_found": Row(404, "There is no such payment", "No existe ese pago"),
    "invoice_not_found": Row(404, "There is no such invoice", "No existe esa factura"),
    "transaction_not_found": Row(404, "There is no such transaction", "No existe esa transacción"),
    "method_not_allowed": Row(
        405, "This path does not take this method", "Esta dirección no acepta este método"
    ),
    "request_timeout": Row(408, "The request came too slowly", "La solicitud llegó muy despacio"),
    "customer_exists": Row(
        409, "This person is already registered", "Esta persona ya está registrada"
    ),
    "programme_exists": Row(
        409, "A version already begins at that moment", "Ya hay una versión desde ese momento"
    ),
    "programme_in_force": Row(
        409, "The version is in force or over", "La versión ya entró en vigencia"
    ),
    "retired": Row(409, "This has been retired", "Ya está retirado"),
    "cashier_exists": Row(
        409, "The brand has a cashier with this user", "La marca ya tiene un cajero con ese usuario"
    ),
    "key_revoked": Row(409, "The key is revoked", "La clave está revocada"),
    "key_limit_reached": Row(409, "Two keys are already valid", "Ya hay dos claves vigentes"),
    "last_network_key": Row(
        409, "This is the last key of the network", "Es la última clave de la red"
    ),
    "invoice_differs": Row(
        409, "The invoice was printed with other data", "La factura se imprimió con otros datos"
    ),
    "deposit_exists": Row(
        409, "This reference has been deposited already", "Esta referencia ya fue depositada"
    ),
    "payment_captured": Row(409, "The payment has already been made", "El pago ya se hizo"),
    "too_many_items": Row(413, "There are too many items", "Hay demasiadas transacciones"),
    "body_too_large": Row(413, "The body is too large", "El cuerpo es demasiado grande"),
    "unsupported_encoding": Row(
        415, "Compressed bodies are not accepted", "No se aceptan cuerpos comprimidos"
    ),
    "unsupported_media_type": Row(
        415, "The body must be sent as JSON", "El cuerpo debe enviarse como JSON"
    ),
    "idempotency_key_reused": Row(
        422,
        "The idempotency key was used for another request",
        "La clave de idempotencia se usó para otra solicitud",
    ),
    "too_many_attempts": Row(429, "Too many wrong passwords", "Demasiadas contraseñas erradas"),
    "too_many_failed_codes": Row(
        429, "Too many wrong codes were typed here", "Se digitaron demasiados códigos errados aquí"
    ),
    "too_many_guesses": Row(
        429, "Too many look-ups found nobody", "Demasiadas búsquedas sin resultado"
    ),
    "too_many_sign_ins": Row(
        429,
        "Too many people are signing in right now",
        "Demasiadas personas están ingresando en este momento",
    ),
    "headers_too_large": Row(
        431,
        "The request line or the headers are too large",
        "La línea de la solicitud o los encabezados son muy grandes",
    ),
    "internal_error": Row(500, "Something went wrong in the service", "Algo falló en el servicio"),
    "overloaded": Row(
        503, "The service is busy right now", "El servicio está ocupado en este momento"
    ),
    "read_only": Row(
        503, "The database is read-only", "La base de datos está en modo de solo lectura"
    ),
    "unavailable": Row(503, "The database is out of reach", "La base de datos no está disponible"),
    "outcome_unknown": Row(504, "The outcome is not known yet", "Aún no se conoce el resultado"),
}
"""The one table of problems, by status."""

_BY_ERROR: dict[type[EngineError], str] = {
    Overloaded: "overloaded",
    Unavailable: "unavailable",
    NotDurable: "unavailable",
    ReadOnly: "read_only",
    OutcomeUnknown: "outcome_unknown",
    KeyReused: "idempotency_key_reused",
    CustomerNotFound: "customer_not_found",
    PaymentNotFound: "payment_not_found",
    InvoicePaid: "payment_captured",
    KeyRevoked: "key_revoked",
    KeyLimitReached: "key_limit_reached",
    LastNetworkKey: "last_network_key",
    TooManySignIns: "too_many_sign_ins",
    TooManyFailedCodes: "too_many_failed_codes",
    TooManyGuesses: "too_many_guesses",
    Quarantined: "internal_error",
    SumsOfAnotherServer: "unavailable",
}


@dataclass(slots=True)
class HttpProblem(Problem):
    """A problem whose answer has header fields that no other one has."""

    headers: dict[str, str] = field(default_factory=dict)


def headers_of(problem: Problem) -> dict[str, str]:
    """Return the header fields of a problem's answer."""
    headers = dict(problem.headers) if isinstance(problem, HttpProblem) else {}
    if problem.replayed:
        headers |= REPLAYED
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if status_of(problem) == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def status_of(problem: Problem) -> int:
    """Return the HTTP status of a problem's code."""
    row = PROBLEMS.get(problem.code)
    return HTTP_STATUS_REFUSED if row is None else row.status


def title_of(problem: Problem, language: str) -> str:
    """Return what a problem is called in `language` ('es' or 'en')."""
    row = PROBLEMS.get(problem.code) or REFUSALS[Refusal[problem.code.upper()]]
    return row.title_es if language == "es" else row.title_en


def detail_of(problem: Problem, language: str) -> str:
    """Return what is wrong and what to do, in `language` ('es' or 'en')."""
    if language != "es":
        return problem.detail
    if problem.spanish is not None:
        return problem.spanish
    return detail_in_spanish(problem.code, problem.detail)


def body_of(problem: Problem, request_id: str, language: str) -> bytes:
    """Return a problem as JSON, its texts in `language` ('es' or 'en')."""
    return orjson.dumps(
        {
            "type": f"urn:leal:problem:{problem.code}",
            "title": title_of(problem, language),
            "status": status_of(problem),
            "detail": detail_of(problem, language),
            "code": problem.code,
            "request_id": request_id,
            **problem.members,
        }
    )


def error_problem(error: EngineError) -> Problem:
    """Return the problem that reports an error of the engine."""
    code = _BY_ERROR.get(type(error), "internal_error")
    retry_after_s = None
    if PROBLEMS[code].status in (429, 503, 504):
        retry_after_s = getattr(error, "seconds", RETRY_AFTER_S)
    return Problem(code, str(error), retry_after_s=retry_after_s)


def language_of(accept_language: str | None) -> str:
    """Return 'es' where the client prefers it to English, else 'en'."""
    best, best_quality = "en", 0.0
    for part in (accept_language or "").lower().split(","):
        tag, _, quality = part.partition(";")
        language = tag.strip().partition("-")[0]
        number = QUALITY.fullmatch(quality.strip())
        weight = 1.0 if number is None else float(number[1])
        if language in ("es", "en") and weight > best_quality:
            best, best_quality = language, weight
    return best
