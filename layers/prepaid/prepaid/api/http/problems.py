"""Error responses: one shape, application/problem+json (RFC 9457), and the one table from errors to statuses."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from prepaid.api.http.responses import Response
from prepaid.core.calendar import rfc3339
from prepaid.core.errors import (
    AccountClosed,
    AccountFrozen,
    AccountNotFound,
    AlreadyCaptured,
    AlreadyReversed,
    Busy,
    CodeLocked,
    ConsumptionNotFound,
    CurrencyMismatch,
    ExceedsRemaining,
    FeatureRetired,
    GrantNotFound,
    HoldLapsed,
    HoldNotFound,
    HoldReleased,
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidRequest,
    PortalLinkInvalid,
    PortalLinkUsed,
    PortalSessionEnded,
    PrepaidError,
    PurchaseNotCancellable,
    PurchaseNotFound,
    PurchaseNotResumable,
    PurchaseNotVoidable,
    Refused,
    SessionInvalid,
    TooManyHolds,
    TooManyLots,
    VersionConflict,
    WrongCode,
)
from prepaid.payments.errors import PaymentsNotConfigured, PaymentsRefused, PaymentsUnavailable, WebhookRejected


@dataclass(eq=False)
class HttpRefusal(Refused):
    """The HTTP request itself is invalid; no rule of the core was applied."""

    detail: str
    status: ClassVar[int]


class Malformed(HttpRefusal):
    """The body doesn't match its content type or encoding."""

    code, status = "malformed_body", 400


class KeyMissing(HttpRefusal):
    """A POST without Idempotency-Key."""

    code, status = "idempotency_key_missing", 400


class KeyInvalid(HttpRefusal):
    """An Idempotency-Key that isn't 1-255 visible ASCII characters."""

    code, status = "idempotency_key_invalid", 400


class CursorInvalid(HttpRefusal):
    """A cursor that this service didn't make for this account and these filters."""

    code, status = "invalid_cursor", 400


class Unauthorized(HttpRefusal):
    """The request has no verified token."""

    code, status = "unauthorized", 401


class Forbidden(HttpRefusal):
    """The token is valid, but doesn't permit this request."""

    code, status = "forbidden", 403


class RouteNotFound(HttpRefusal):
    """A path that this function doesn't serve."""

    code, status = "not_found", 404


class TooLarge(HttpRefusal):
    """The body exceeds the limit."""

    code, status = "body_too_large", 413


class UnsupportedType(HttpRefusal):
    """A body that isn't declared as JSON."""

    code, status = "unsupported_media_type", 415


class PreconditionMissing(HttpRefusal):
    """A change of the catalog without If-Match."""

    code, status = "if_match_missing", 428


@dataclass(frozen=True, slots=True)
class Problem:
    """The response to one kind of error: its status, detail, extra members and extra headers."""

    status: int
    detail: Callable[[Any], str]
    members: Callable[[Any], dict[str, Any]] = field(default=lambda _: {})
    headers: Callable[[Any], dict[str, str]] = field(default=lambda _: {})


PROBLEMS: dict[type[PrepaidError], Problem] = {
    InvalidRequest: Problem(
        422,
        lambda error: "; ".join(f"{name}: {message}" for name, message in error.errors),
        lambda error: {"errors": [{"field": name, "message": message} for name, message in error.errors]},
    ),
    FeatureRetired: Problem(
        422,
        lambda error: f"feature: {error.message}",
        lambda error: {"errors": [{"field": "feature", "message": error.message}]},
    ),
    AccountNotFound: Problem(404, lambda _: "There is no such account."),
    AccountFrozen: Problem(
        409,
        lambda _: "The account is frozen. It can't use or buy credits until an administrator makes it active again.",
    ),
    AccountClosed: Problem(
        409,
        lambda _: "The account is closed. It can't use or buy credits unless an administrator makes it active again.",
    ),
    ConsumptionNotFound: Problem(404, lambda _: "There is no such consumption."),
    InsufficientCredits: Problem(
        402,
        lambda error: f"Credits needed: {error.needed}. Credits available: {error.available}.",
        lambda error: {
            "needed": error.needed,
            "available": error.available,
            "quota_remaining": error.quota_remaining,
            "renews_at": rfc3339(error.renews_at) if error.renews_at else None,
            "suggested_pack": error.suggested_pack,
        },
    ),
    AlreadyReversed: Problem(
        409,
        lambda error: f"Units of this charge that are not reversed yet: {error.reversible}.",
        lambda error: {"reversible": error.reversible},
    ),
    HoldNotFound: Problem(404, lambda _: "There is no such hold."),
    AlreadyCaptured: Problem(
        409, lambda error: f"The hold was captured: {error.capture}.", lambda error: {"capture": error.capture}
    ),
    HoldReleased: Problem(409, lambda _: "The hold was released."),
    HoldLapsed: Problem(
        409,
        lambda error: f"The hold lapsed at {rfc3339(error.lapsed_at)}.",
        lambda error: {"lapsed_at": rfc3339(error.lapsed_at)},
    ),
    TooManyHolds: Problem(
        409,
        lambda error: (
            f"The account has {error.limit} holds already. Capture or release some."
            if error.of == "holds"
            else f"With this hold, the account's holds would reserve credits of more than {error.limit} lots. "
            "Capture or release some."
        ),
    ),
    TooManyLots: Problem(409, lambda error: f"The account holds {error.limit} lots already."),
    GrantNotFound: Problem(404, lambda _: "There is no such grant."),
    PurchaseNotVoidable: Problem(
        409, lambda _: "These credits were bought. Refund the payment at Stripe: that takes them back."
    ),
    ExceedsRemaining: Problem(
        409,
        lambda error: (
            f"Credits that remain of this grant: {error.remaining}."
            if error.remaining
            else "Nothing remains of this grant: its credits are spent, expired or voided."
        ),
        lambda error: {"remaining": error.remaining},
    ),
    IdempotencyKeyReused: Problem(409, lambda _: "This Idempotency-Key was already used for a different request."),
    VersionConflict: Problem(
        412,
        lambda error: f"The current version is {error.current}.",
        lambda error: {"current_version": error.current},
    ),
    WrongCode: Problem(
        403,
        lambda error: f"The code is wrong. Tries left: {error.tries_left}.",
        lambda error: {"tries_left": error.tries_left},
    ),
    CodeLocked: Problem(
        429,
        lambda _: "Too many wrong codes. Wait before trying again.",
        headers=lambda error: {"Retry-After": str(error.retry_after_seconds)},
    ),
    SessionInvalid: Problem(403, lambda _: "Send a manager session of this account that is open and unused."),
    PortalLinkInvalid: Problem(410, lambda _: "The link is unknown or has expired."),
    PortalLinkUsed: Problem(410, lambda _: "The link was used before."),
    PortalSessionEnded: Problem(401, lambda _: "The session has ended."),
    CurrencyMismatch: Problem(
        409,
        lambda error: (
            f"The account buys in {error.currency}. Packs in that currency: {', '.join(error.packs) or 'none'}."
        ),
        lambda error: {"currency": error.currency, "packs": list(error.packs)},
    ),
    PurchaseNotFound: Problem(404, lambda _: "There is no such purchase."),
    PurchaseNotCancellable: Problem(
        409, lambda _: "Only an open purchase can be cancelled. This one is paid, waits for its payment, or is over."
    ),
    PurchaseNotResumable: Problem(
        409, lambda _: "The purchase started with this key can't be continued. Start a new one with a new key."
    ),
    Busy: Problem(
        503,
        lambda _: "The request was not completed in time. Retry it with the same Idempotency-Key.",
        headers=lambda error: {"Retry-After": str(error.retry_after_seconds)},
    ),
    WebhookRejected: Problem(400, lambda error: error.detail),
    PaymentsUnavailable: Problem(
        503, lambda _: "The payment provider didn't respond.", headers=lambda _: {"Retry-After": "5"}
    ),
    # No Retry-After, because an operator must act first. Still 5xx, so that Stripe retries for days.
    PaymentsNotConfigured: Problem(
        503, lambda _: "Payments are not set up yet. Once they are, the same request succeeds."
    ),
    # No Retry-After, because an operator must fix the cause first. Still 5xx, so that Stripe retries for days.
    PaymentsRefused: Problem(
        502, lambda _: "The payment provider rejects this request. Once the cause is fixed, the same request succeeds."
    ),
}
INTERNAL = Problem(500, lambda _: "Something went wrong on our side.")


def problem_response(error: Exception, request_id: str = "") -> Response:
    """The response to an error. For an unexpected error it reveals nothing about it.

    request_id: the gateway's, which both logs carry too; "" for a part of a response.
    """
    code, problem = code_of(error), _problem(error)
    body = {
        "type": f"urn:prepaid:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": problem.status,
        "detail": problem.detail(error),
        "code": code,
        **({"request_id": request_id} if request_id else {}),
        **problem.members(error),
    }
    headers = {"Content-Type": "application/problem+json", **problem.headers(error)}
    return Response(status=problem.status, body=body, headers=headers)


def code_of(error: Exception) -> str:
    """The stable code of an error; every unexpected error has the same one."""
    return error.code if isinstance(error, PrepaidError) else "internal_error"


def _problem(error: Exception) -> Problem:
    if isinstance(error, HttpRefusal):
        return Problem(error.status, lambda refusal: refusal.detail)
    return PROBLEMS[type(error)] if isinstance(error, PrepaidError) else INTERNAL
