"""What a problem says to a person who reads Spanish: one sentence a code, and what to do about it.

A few details that call for something else than their code does have a sentence of their own. The
English `detail` of a problem may name more, for the developer who integrates; what a cashier
has to know beyond this sentence stands in the members of the problem.
"""

from __future__ import annotations

import re
from typing import Final

from engine.errors import InvoicePaid
from engine.ledger.vocabulary import PAID_IN_FULL

FIELD: Final = re.compile(r"`([a-z_.\[\]0-9]+)`")
"""How an English detail names a field."""

REVIEWED: Final = frozenset({"invalid_request", "amount_required"})
"""Problems that name the fields to look at."""

SPANISH: Final[dict[str, str]] = {
    "malformed_json": "La solicitud llegó incompleta o dañada. Vuelve a enviarla.",
    "invalid_request": "Revisa los datos que enviaste",
    "currency_mismatch": "La moneda no es la de esta tienda. Usa la moneda de la tienda.",
    "store_required": "Falta la tienda. Envía `store_id`.",
    "amount_required": "Falta el valor de la factura",
    "occurred_at_out_of_range": "La fecha de la venta es muy antigua o es futura. Revísala.",
    "document_not_checked": "Verifica el documento físico del cliente antes de cobrar.",
    "promotion_costs_coins": "Esta promoción se paga con coins. Usa la opción Pagar.",
    "not_in_bulk": "Esta operación no se puede enviar en una carga masiva. Envíala sola.",
    "idempotency_key_missing": "Falta la clave de idempotencia. Envía una por operación.",
    "idempotency_key_invalid": "La clave de idempotencia no es válida. Envía una, entre comillas.",
    "unauthorized": "La sesión o la clave no es válida. Vuelve a iniciar sesión.",
    "sign_in_failed": "Revisa el usuario y la contraseña e inténtalo de nuevo.",
    "forbidden": "No tienes permiso para hacer esto. Pídelo al administrador de tu marca.",
    "not_found": "No existe lo que buscas. Revisa la dirección.",
    "customer_not_found": "Revisa el dato que escribiste o crea una cuenta para el cliente.",
    "brand_not_found": "No encontramos esa marca. Revisa el número.",
    "store_not_found": "No encontramos esa tienda. Revisa el número.",
    "programme_not_found": "No encontramos esa versión del programa. Consulta la lista.",
    "partner_not_found": "No encontramos ese aliado. Consulta la lista.",
    "organisation_not_found": "No encontramos esa organización. Consulta la lista.",
    "session_not_found": "No encontramos esa sesión. Consulta la lista.",
    "cashier_not_found": "No encontramos ese cajero. Consulta la lista.",
    "key_not_found": "No encontramos esa clave. Consulta la lista.",
    "reward_not_found": "No encontramos ese premio. Consulta los premios de la tienda.",
    "promotion_not_found": "No encontramos esa promoción. Consulta las promociones de la tienda.",
    "gift_not_found": "No encontramos ese regalo. Consulta los regalos del cliente.",
    "payment_not_found": "No encontramos ese pago. Empieza un pago nuevo.",
    "invoice_not_found": "La caja de esta tienda no ha enviado esa factura. Revisa el número.",
    "transaction_not_found": "No encontramos esa transacción en esta tienda. Revisa el historial.",
    "method_not_allowed": "Esta dirección no acepta esa operación.",
    "request_timeout": "La solicitud llegó muy despacio. Vuelve a enviarla.",
    "customer_exists": "Esta persona ya tiene cuenta. Búscala por su documento.",
    "programme_exists": "Ya hay una versión desde ese momento. Elige otra fecha.",
    "programme_in_force": "Esa versión ya está en vigencia. Crea una versión nueva.",
    "retired": "Ya está retirado y no se puede cambiar.",
    "cashier_exists": "Ya hay un cajero con ese usuario. Elige otro usuario.",
    "key_revoked": "La clave está revocada. Crea una clave nueva.",
    "key_limit_reached": "Ya hay dos claves vigentes. Revoca una antes de crear otra.",
    "last_network_key": "Es la última clave de la red. Crea otra antes de revocarla.",
    "invoice_differs": "La caja imprimió esta factura con otros datos. Usa los que aparecen aquí.",
    "deposit_exists": "Esta referencia ya fue depositada. Usa otra referencia.",
    "payment_captured": "Este pago ya se hizo. No lo cobres de nuevo.",
    "too_many_items": "Son demasiadas transacciones. Envíalas en varias cargas.",
    "body_too_large": "La solicitud es demasiado grande. Envía menos datos.",
    "unsupported_encoding": "Envía la solicitud sin comprimir.",
    "unsupported_media_type": "Envía el cuerpo con Content-Type: application/json.",
    "idempotency_key_reused": "Esta clave ya se usó para otra operación. Usa una clave nueva.",
    "too_many_attempts": "Hubo demasiados intentos. Espera unos minutos.",
    "too_many_failed_codes": "Hubo demasiados códigos errados aquí. Pide al cliente su código QR.",
    "too_many_guesses": "Hubo demasiadas búsquedas sin resultado. Espera unos minutos.",
    "too_many_sign_ins": "Hay muchas personas ingresando. Espera unos segundos.",
    "headers_too_large": "La solicitud tiene encabezados muy grandes. Envía menos encabezados.",
    "internal_error": "Algo falló. Llama a soporte y da el número de esta solicitud.",
    "overloaded": "El servicio está ocupado. Espera un momento e inténtalo otra vez.",
    "read_only": "Por ahora no podemos guardar nada. Inténtalo otra vez en unos minutos.",
    "unavailable": "Por ahora no podemos guardar nada. Inténtalo otra vez con la misma clave.",
    "outcome_unknown": "Todavía no sabemos si se guardó. Inténtalo otra vez con la misma clave.",
    "customer_blocked": "El cliente no puede acumular ni redimir hasta que soporte lo desbloquee.",
    "profile_incomplete": "Completa los datos que faltan del cliente e inténtalo otra vez.",
    "insufficient_points": "Al cliente no le alcanzan los puntos. Mira cuántos tiene disponibles.",
    "insufficient_coins": "Al cliente no le alcanzan los coins. Cobra lo disponible o menos.",
    "coins_not_accepted": "Esta tienda no recibe coins. Cobra con otro medio de pago.",
    "qr_invalid": "Pide al cliente el código que su app muestra ahora y escanéalo otra vez.",
    "invoice_already_claimed": "Esta factura ya acumuló. Si no tiene número, deja el campo vacío.",
    "out_of_stock": "Ya no quedan unidades. Ofrece otro premio al cliente.",
    "limit_reached": "El cliente ya llegó al máximo permitido.",
    "not_available": "El cliente no lo puede tomar ahora. Consulta sus premios y promociones.",
    "code_invalid": "Pide el código otra vez y revisa cuántos intentos quedan.",
    "code_exhausted": "Los coins volvieron al cliente. Empieza un pago nuevo.",
    "payment_expired": "El tiempo del pago terminó y los coins volvieron. Empieza un pago nuevo.",
    "reference_already_used": "Esta referencia o este pedido ya se usó. Usa otro.",
    "already_reversed": "Esta transacción ya fue reversada. No queda nada por devolver.",
    "not_reversible": "No se puede reversar. Si es un pago que espera el código, anúlalo.",
    "exceeds_invoice": "Cobra los coins que faltan por pagar de la factura, o menos.",
    "invoice_voided": "La caja anuló esta venta: no acumula ni se puede pagar.",
}
"""One sentence a code."""

OF_DETAIL: Final[dict[str, str]] = {
    PAID_IN_FULL: "La factura ya está pagada por completo. No le cobres más coins.",
    str(InvoicePaid()): "Esta venta tiene coins pagados. Reversa primero el pago.",
}
"""One sentence each for details that call for something else than their code does."""


def detail_in_spanish(code: str, detail: str) -> str:
    """Return what a problem says in Spanish; `detail` is what it says in English."""
    said = OF_DETAIL.get(detail, SPANISH[code])
    if code not in REVIEWED:
        return said
    fields = ", ".join(dict.fromkeys(f"`{name}`" for name in FIELD.findall(detail)))
    return f"{said}: {fields}." if fields != "" else f"{said}."
