"""GET /v1/accounts/{account}/events: an account's events, from its ledger. GET /v1/events: those of all accounts."""

import json
import re
from typing import Annotated, Literal, NotRequired, TypedDict, cast

from pydantic import Field

from prepaid.api.http.bodies import SLUG
from prepaid.api.http.requests import ACCOUNT_ID, Request, account_of, caller_for_every_account, check_query, limit_of
from prepaid.api.http.responses import Response
from prepaid.api.http.routes import ACCOUNT, NO_ACCOUNT, Parameter, ResponseSchema, Route
from prepaid.api.http.times import Time
from prepaid.core.cloud_events import cloud_event
from prepaid.core.errors import InvalidRequest
from prepaid.core.events import Event, EventBalance
from prepaid.deps import Deps
from prepaid.use_cases.following import feed_after
from prepaid.use_cases.publishing import events_after

NO_POSITION = "must be `next` of an earlier response"
ENTRY_NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)
# A time, and the account and the entry or alert that was published at that time.
POSITION = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}#([A-Za-z0-9._-]{1,64}#[0-9a-z_]{1,40})?", re.ASCII
)
DEFAULT_LIMIT, MAX_LIMIT = 50, 100

# Each text of an event has a pattern that no sentence matches.
type AccountId = Annotated[str, Field(json_schema_extra={"pattern": f"^{ACCOUNT_ID.pattern}$"})]
type FeatureId = Annotated[str, Field(json_schema_extra={"pattern": SLUG})]
type LotId = Annotated[str, Field(json_schema_extra={"pattern": "^lot_[0-9]{12}$"})]
type HoldId = Annotated[str, Field(json_schema_extra={"pattern": "^hold_[0-9]{12}$"})]
type PurchaseId = Annotated[str, Field(json_schema_extra={"pattern": "^pur_[0-9A-Za-z_]{1,60}$"})]
type EventId = Annotated[str, Field(json_schema_extra={"pattern": "^evt_[0-9a-f]{26}$"})]
type EventType = Annotated[str, Field(json_schema_extra={"pattern": r"^prepaid\.(entry|alert)\.[a-z0-9_]{1,40}$"})]


class EventDataResponse(TypedDict):
    """Numbers and ids. entry: the number of the account's entry, absent from events without one.

    An event has only the members that apply to it. It has no texts: names, descriptions and references stay in the
    history.
    days: until the lot expires. threshold: the account's low_credit_threshold. limit, used, remaining: units of the
    feature's quota. version: of the purchase's record or of the manager's code.
    """

    account: AccountId
    entry: NotRequired[int]
    feature: NotRequired[FeatureId]
    quantity: NotRequired[int]
    credits: NotRequired[int]
    quota: NotRequired[int]
    owed: NotRequired[int]
    source: NotRequired[Literal["quota", "credits", "both"]]
    lot: NotRequired[LotId]
    purchase: NotRequired[PurchaseId]
    holds: NotRequired[list[HoldId]]
    reverses: NotRequired[int]
    balance: NotRequired[EventBalance]
    days: NotRequired[int]
    expires_at: NotRequired[Time]
    threshold: NotRequired[int]
    limit: NotRequired[int]
    used: NotRequired[int]
    remaining: NotRequired[int]
    version: NotRequired[int]


class EventResponse(TypedDict):
    """An event as CloudEvents 1.0 defines it (https://cloudevents.io). subject: the account. time: when it happened.

    id: the same each time the event is delivered or listed.
    """

    specversion: Literal["1.0"]
    id: EventId
    source: str
    type: EventType
    subject: AccountId
    time: Time
    datacontenttype: Literal["application/json"]
    dataschema: str
    data: EventDataResponse


class EventsResponse(TypedDict):
    """Events in order. next: the `after` of the next request; unchanged when there is nothing new."""

    events: list[EventResponse]
    next: int


class FeedResponse(TypedDict):
    """Events in the order in which they were published. next: the `after` of the next request.

    more: whether to send the next request at once; otherwise there is nothing new yet.
    """

    events: list[EventResponse]
    next: str
    more: bool


def feed(request: Request, deps: Deps) -> Response:
    """GET /v1/events: the events of all accounts, in the order in which they were published."""
    caller_for_every_account(request)
    check_query(request, frozenset({"after", "limit"}))
    after = request.query.get("after", "")
    if after and not POSITION.fullmatch(after):
        raise InvalidRequest((("after", NO_POSITION),))
    limit = limit_of(request, MAX_LIMIT) or DEFAULT_LIMIT
    try:
        page = feed_after(deps.table, after, limit=limit, now=deps.clock())
    except ValueError:
        raise InvalidRequest((("after", NO_POSITION),)) from None
    body: FeedResponse = {
        "events": [cast("EventResponse", json.loads(event)) for event in page.events],
        "next": page.next,
        "more": page.more,
    }
    return Response(status=200, body=body)


def events(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts/{account}/events: the events of the entries that follow entry `after`."""
    account_id = account_of(request)
    check_query(request, frozenset({"after", "limit"}))
    after = _entry_number(request.query.get("after", "0"))
    limit = limit_of(request, MAX_LIMIT) or DEFAULT_LIMIT
    page = events_after(deps.table, account_id, after, limit=limit, catalog=deps.catalog(deps.table))
    body: EventsResponse = {
        "events": [event_response(event, deps.event_source) for event in page.events],
        "next": page.last,
    }
    return Response(status=200, body=body)


def event_response(event: Event, source: str) -> EventResponse:
    """The event as every consumer gets it. source: names the stack."""
    return cast("EventResponse", cloud_event(event, source))


def _entry_number(text: str) -> int:
    if not ENTRY_NUMBER.fullmatch(text):
        raise InvalidRequest((("after", "must be the number of an entry, or 0"),))
    return int(text)


LIST = Route(
    method="GET",
    path="/v1/accounts/{account}/events",
    operation_id="listEventsOfAccount",
    summary="An account's events and alerts, in the order of its ledger",
    scopes=("prepaid/read",),
    parameters=(
        ACCOUNT,
        Parameter(
            name="after",
            description="The number of the entry after which to start: `next` of the previous response; default: "
            "0, the first entry.",
            schema={"type": "integer", "minimum": 0},
        ),
        Parameter(
            name="limit",
            description=f"The most entries whose events to return, 1 to {MAX_LIMIT}; default: {DEFAULT_LIMIT}.",
            schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
        ),
    ),
    responses={200: ResponseSchema(EventsResponse)},
    refusals={**NO_ACCOUNT, 422: ("invalid_request",)},
    function=events,
)
FEED = Route(
    method="GET",
    path="/v1/events",
    operation_id="listEvents",
    summary="The events and alerts of all accounts in the last 30 days, in the order in which they were published",
    scopes=("prepaid/admin",),
    parameters=(
        Parameter(
            name="after", description="`next` of the previous response; default: the oldest events that are kept."
        ),
        Parameter(
            name="limit",
            description=f"The most entries and alerts whose events to return, 1 to {MAX_LIMIT}; default: "
            f"{DEFAULT_LIMIT}.",
            schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
        ),
    ),
    responses={200: ResponseSchema(FeedResponse)},
    refusals={403: ("forbidden",), 422: ("invalid_request",)},
    function=feed,
)
