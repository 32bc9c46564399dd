"""/v1/accounts/{account}/holds: reserving units for work whose cost isn't known yet (rule 16)."""

from typing import Annotated, Literal, TypedDict

from pydantic import Field

from prepaid.api.entries import BalanceAfter, DrawResponse, balance_after, draw_response
from prepaid.api.http.bodies import MAX_QUANTITY, Body, Slug, Text, body_of
from prepaid.api.http.requests import Request, account_of, caller_of, idempotency_key_of
from prepaid.api.http.responses import Response, created, done
from prepaid.api.http.routes import (
    ACCOUNT,
    BODY_REFUSALS,
    KEY,
    KEY_REFUSALS,
    NO_ACCOUNT,
    NOT_ACTIVE,
    REPLAYED,
    Parameter,
    ResponseSchema,
    Route,
)
from prepaid.api.http.times import Time
from prepaid.core.calendar import rfc3339
from prepaid.core.entry import Draw, Entry, LotDraw, QuotaDraw
from prepaid.core.holding import DEFAULT_TTL_SECONDS, LONGEST_TTL_SECONDS, PlaceHold
from prepaid.core.ids import capture_id, hold_id, hold_number, release_id
from prepaid.deps import Deps
from prepaid.store.items import SALT_BYTES
from prepaid.store.ledger import append
from prepaid.use_cases.holding import capture_hold, find_hold, release_hold


class HoldRequest(Body):
    """Reserve `quantity` units of a feature. The hold lapses after `ttl_seconds`."""

    feature: Slug
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] = 1
    ttl_seconds: Annotated[int, Field(ge=1, le=LONGEST_TTL_SECONDS)] = DEFAULT_TTL_SECONDS
    description: Text | None = None
    customer: Text | None = None
    reference: Text | None = None


class CaptureRequest(Body):
    """Spend `quantity` units of a hold; default: all. The rest is released."""

    quantity: Annotated[int, Field(ge=0, le=MAX_QUANTITY)] | None = None


class HoldResponse(TypedDict):
    """A hold. credits, quota, draws: what it reserves. lapses_at: the first instant at which it can't be captured.

    balance: after the hold was placed.
    """

    id: str
    entry: int
    feature: str
    quantity: int
    credits: int
    quota: int
    draws: list[DrawResponse]
    lapses_at: Time
    balance: BalanceAfter
    created_at: Time


class HoldStateResponse(HoldResponse):
    """A hold and its current state.

    capture: the id of its capture, or null. ended_at: null until its end is recorded.
    """

    state: Literal["held", "captured", "released", "lapsed"]
    capture: str | None
    ended_at: Time | None


class CaptureResponse(TypedDict):
    """A recorded capture. credits, quota, draws: what it spent. returned: what the hold gave back, as negative draws.

    expired: unspent credits of the hold that are lost, because their lot has expired. balance: after the capture.
    """

    id: str
    entry: int
    hold: str
    feature: str
    quantity: int
    credits: int
    quota: int
    draws: list[DrawResponse]
    returned: list[DrawResponse]
    expired: list[DrawResponse]
    balance: BalanceAfter
    created_at: Time


class ReleaseResponse(TypedDict):
    """A recorded release. quantity: units. returned: what the hold gave back, as negative draws.

    expired: credits of the hold that are lost, because their lot has expired. balance: after the release.
    """

    id: str
    entry: int
    hold: str
    feature: str
    quantity: int
    returned: list[DrawResponse]
    expired: list[DrawResponse]
    balance: BalanceAfter
    created_at: Time


def place(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/holds: reserve, all or nothing, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    body = body_of(request, HoldRequest)
    operation = PlaceHold(
        actor=caller_of(request).name,
        feature=body.feature,
        quantity=body.quantity,
        ttl_seconds=body.ttl_seconds,
        description=body.description,
        customer=body.customer,
        reference=body.reference,
    )
    appended = append(
        deps.table,
        account_id,
        operation,
        catalog=deps.catalog(deps.table),
        now=request.now,
        idempotency_key=key,
        salt=deps.random_bytes(SALT_BYTES),
    )
    return created(hold_response(appended.entries[-1]), replayed=appended.replayed)


def capture(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/holds/{id}/capture: spend units of a hold, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    body = body_of(request, CaptureRequest)
    captured = capture_hold(
        deps.table,
        account_id,
        actor=caller_of(request).name,
        hold=hold_number(request.path.get("id", "")),
        quantity=body.quantity,
        catalog=deps.catalog(deps.table),
        now=request.now,
        idempotency_key=key,
        salt=deps.random_bytes(SALT_BYTES),
    )
    return done(capture_response(captured.entries[-1]), replayed=captured.replayed)


def release(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/holds/{id}/release: give back all of a hold, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    released = release_hold(
        deps.table,
        account_id,
        actor=caller_of(request).name,
        hold=hold_number(request.path.get("id", "")),
        catalog=deps.catalog(deps.table),
        now=request.now,
        idempotency_key=key,
    )
    return done(release_response(released.entries[-1]), replayed=released.replayed)


def show(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts/{account}/holds/{id}: a hold and its current state."""
    account_id = account_of(request)
    hold = find_hold(deps.table, account_id, hold_number(request.path.get("id", "")), request.now)
    body: HoldStateResponse = {
        **hold_response(hold.placed),
        "state": hold.state,
        "capture": capture_id(hold.ended.number) if hold.ended and hold.state == "captured" else None,
        "ended_at": rfc3339(hold.ended.at) if hold.ended else None,
    }
    return Response(status=200, body=body)


def hold_response(entry: Entry) -> HoldResponse:
    """The response to a hold, from its entry alone, so that a replay returns the same."""
    assert entry.feature is not None
    assert entry.quantity is not None
    assert entry.lapses_at is not None
    return {
        "id": hold_id(entry.number),
        "entry": entry.number,
        "feature": entry.feature,
        "quantity": entry.quantity,
        "credits": _credits(entry.draws),
        "quota": _units(entry.draws),
        "draws": _draw_responses(entry.draws),
        "lapses_at": rfc3339(entry.lapses_at),
        "balance": balance_after(entry),
        "created_at": rfc3339(entry.at),
    }


def capture_response(entry: Entry) -> CaptureResponse:
    """The response to a capture, from its entry alone, so that a replay returns the same."""
    assert entry.feature is not None
    assert entry.quantity is not None
    return {
        "id": capture_id(entry.number),
        "entry": entry.number,
        "hold": hold_id(entry.holds[0]),
        "feature": entry.feature,
        "quantity": entry.quantity,
        "credits": _credits(entry.draws),
        "quota": _units(entry.draws),
        "draws": _draw_responses(entry.draws),
        "returned": _draw_responses(entry.returned),
        "expired": _draw_responses(entry.expired),
        "balance": balance_after(entry),
        "created_at": rfc3339(entry.at),
    }


def release_response(entry: Entry) -> ReleaseResponse:
    """The response to a release, from its entry alone, so that a replay returns the same."""
    assert entry.feature is not None
    assert entry.quantity is not None
    return {
        "id": release_id(entry.number),
        "entry": entry.number,
        "hold": hold_id(entry.holds[0]),
        "feature": entry.feature,
        "quantity": entry.quantity,
        "returned": _draw_responses(entry.draws),
        "expired": _draw_responses(entry.expired),
        "balance": balance_after(entry),
        "created_at": rfc3339(entry.at),
    }


def _credits(draws: tuple[Draw, ...]) -> int:
    return sum(draw.credits for draw in draws if isinstance(draw, LotDraw))


def _units(draws: tuple[Draw, ...]) -> int:
    return sum(draw.units for draw in draws if isinstance(draw, QuotaDraw))


def _draw_responses(draws: tuple[Draw, ...]) -> list[DrawResponse]:
    return [draw_response(draw) for draw in draws]


HOLD = Parameter(name="id", where="path", required=True, description="The hold's id.")
ENDED = ("idempotency_key_reused", "already_captured", "hold_released", "hold_lapsed")
NO_HOLD = {404: ("account_not_found", "hold_not_found")}
PLACE = Route(
    method="POST",
    path="/v1/accounts/{account}/holds",
    operation_id="placeHold",
    summary="Reserve units of a feature, with the quota and credits that a consumption would spend now",
    scopes=("prepaid/consume",),
    parameters=(ACCOUNT, KEY),
    body=HoldRequest,
    responses={201: ResponseSchema(HoldResponse, headers=(REPLAYED,))},
    refusals={
        400: (*KEY_REFUSALS, "malformed_body"),
        402: ("insufficient_credits",),
        409: ("idempotency_key_reused", "too_many_holds", *NOT_ACTIVE),
        **NO_ACCOUNT,
        **BODY_REFUSALS,
        422: ("invalid_request", "feature_retired"),
    },
    function=place,
)
CAPTURE = Route(
    method="POST",
    path="/v1/accounts/{account}/holds/{id}/capture",
    operation_id="captureHold",
    summary="Spend units of a hold, and release the rest",
    scopes=("prepaid/consume",),
    parameters=(ACCOUNT, HOLD, KEY),
    body=CaptureRequest,
    responses={200: ResponseSchema(CaptureResponse, headers=(REPLAYED,))},
    refusals={400: (*KEY_REFUSALS, "malformed_body"), 409: ENDED, **BODY_REFUSALS, **NO_HOLD},
    function=capture,
)
RELEASE = Route(
    method="POST",
    path="/v1/accounts/{account}/holds/{id}/release",
    operation_id="releaseHold",
    summary="Give back all that a hold reserves",
    scopes=("prepaid/consume",),
    parameters=(ACCOUNT, HOLD, KEY),
    responses={200: ResponseSchema(ReleaseResponse, headers=(REPLAYED,))},
    refusals={400: (*KEY_REFUSALS, "malformed_body"), 409: ENDED, 413: ("body_too_large",), **NO_HOLD},
    function=release,
)
SHOW = Route(
    method="GET",
    path="/v1/accounts/{account}/holds/{id}",
    operation_id="getHold",
    summary="A hold and its current state",
    scopes=("prepaid/consume", "prepaid/read"),
    parameters=(ACCOUNT, HOLD),
    responses={200: ResponseSchema(HoldStateResponse)},
    refusals=NO_HOLD,
    function=show,
)
