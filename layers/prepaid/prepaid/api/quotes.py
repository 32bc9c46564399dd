"""POST /v1/accounts/{account}/quotes: what a consumption would draw, or what is missing."""

from typing import Annotated, NotRequired, TypedDict

from pydantic import Field

from prepaid.api.entries import DrawResponse, draw_response
from prepaid.api.http.bodies import MAX_QUANTITY, Body, Slug, body_of
from prepaid.api.http.requests import Request, account_of, caller_of
from prepaid.api.http.responses import Response
from prepaid.api.http.routes import ACCOUNT, BODY_REFUSALS, NO_ACCOUNT, NOT_ACTIVE, ResponseSchema, Route
from prepaid.api.http.times import Time
from prepaid.core import ledger
from prepaid.core.calendar import rfc3339
from prepaid.core.ledger import Debit, Quote
from prepaid.deps import Deps
from prepaid.store.ledger import read_tail
from prepaid.use_cases.reading import account_now


class QuoteRequest(Body):
    """A consumption that is not carried out."""

    feature: Slug
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] = 1


class QuoteResponse(TypedDict):
    """What a consumption would do at the time `as_of`. Nothing is reserved: another request may spend first.

    quota: the units that the plan's quota would pay for. credits: the price of the others. missing: the credits that
    the account lacks. suggested_pack, renews_at: only when credits are missing; as in insufficient_credits.
    """

    account: str
    as_of: Time
    feature: str
    quantity: int
    affordable: bool
    credits: int
    quota: int
    draws: list[DrawResponse]
    missing: int
    suggested_pack: NotRequired[str | None]
    renews_at: NotRequired[Time | None]


def quote(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/quotes: the consumption's own computation. Writes nothing."""
    account_id = account_of(request)
    body = body_of(request, QuoteRequest)
    entry = read_tail(deps.table, account_id).entry
    current = account_now(deps.table, entry, catalog=deps.catalog(deps.table), now=request.now)
    debit = Debit(actor=caller_of(request).name, feature=body.feature, quantity=body.quantity)
    quoted = ledger.quote(current.account, debit, catalog=current.catalog, now=request.now)
    return Response(status=200, body=quote_response(account_id, debit, quoted, as_of=rfc3339(request.now)))


def quote_response(account_id: str, debit: Debit, quoted: Quote, *, as_of: str) -> QuoteResponse:
    """The response to a request for a quote."""
    refusal = quoted.refusal
    body: QuoteResponse = {
        "account": account_id,
        "as_of": as_of,
        "feature": debit.feature,
        "quantity": debit.quantity,
        "affordable": refusal is None,
        "credits": quoted.credits,
        "quota": quoted.quota,
        "draws": [draw_response(draw) for draw in quoted.draws],
        "missing": refusal.needed - refusal.available if refusal else 0,
    }
    if refusal:
        body["suggested_pack"] = refusal.suggested_pack
        body["renews_at"] = rfc3339(refusal.renews_at) if refusal.renews_at else None
    return body


QUOTE = Route(
    method="POST",
    path="/v1/accounts/{account}/quotes",
    operation_id="quote",
    summary="What a consumption would draw, or what is missing; changes nothing",
    scopes=("prepaid/read",),
    parameters=(ACCOUNT,),
    body=QuoteRequest,
    responses={200: ResponseSchema(QuoteResponse)},
    refusals={
        400: ("malformed_body",),
        **NO_ACCOUNT,
        409: NOT_ACTIVE,
        **BODY_REFUSALS,
        422: ("invalid_request", "feature_retired"),
    },
    function=quote,
)
