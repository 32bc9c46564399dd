"""/v1/packs and /v1/catalog: showing the packs on sale, showing and changing the catalog."""

import re
from typing import Annotated, Self, TypedDict

from pydantic import AfterValidator, Field, model_validator

from prepaid.api.http.bodies import MAX_CREDITS, Body, Currency, Slug, Text, body_of
from prepaid.api.http.problems import PreconditionMissing
from prepaid.api.http.requests import Request, caller_for_every_account, caller_of
from prepaid.api.http.responses import Response
from prepaid.api.http.routes import BODY_REFUSALS, Header, Parameter, ResponseSchema, Route
from prepaid.core.catalog import Catalog, check_amounts
from prepaid.core.errors import InvalidRequest
from prepaid.core.languages import Language
from prepaid.core.offers import Offer, check_prices, offers, price_text
from prepaid.deps import Deps
from prepaid.store.catalog import catalog_from, read_catalog
from prepaid.use_cases.administering import replace_catalog

ETAG = re.compile(r'"?([1-9][0-9]{0,8})"?', re.ASCII)

# Short enough for a column of the page, and for a catalog version with MAX_IDS of each kind (core/catalog.py).
LONGEST_TITLE = 30


def _check_title(title: str) -> str:
    if len(title) > LONGEST_TITLE:
        raise ValueError(f"must have at most {LONGEST_TITLE} characters")
    return title


type Title = Annotated[Text, AfterValidator(_check_title), Field(json_schema_extra={"maxLength": LONGEST_TITLE})]
type Titles = dict[Language, Title]


class FeatureRequest(Body):
    """A billable feature. price: credits per unit. active: false retires it: nothing more can be spent on it.

    titles: its name for people, by language: {"pt-BR": "Figurinha", "en": "Sticker"}.
    """

    id: Slug
    price: Annotated[int, Field(ge=0, le=1_000_000)]
    active: bool = True
    titles: Titles = Field(default_factory=dict)


class PlanRequest(Body):
    """A plan. quotas: the units that it includes per month, by feature: {"ai_service": 300}.

    active: false retires it: accounts that have it keep it, and no other account gets it.
    titles: its name for people, by language.
    """

    id: Slug
    quotas: dict[Slug, Annotated[int, Field(ge=0, le=MAX_CREDITS)]] = Field(default_factory=dict)
    active: bool = True
    titles: Titles = Field(default_factory=dict)


class PackRequest(Body):
    """Credits sold together. amount: minor units of the currency for the whole pack. active: false: not on sale."""

    id: Slug
    credits: Annotated[int, Field(ge=1, le=MAX_CREDITS)]
    amount: Annotated[int, Field(ge=1, le=99_999_999)]
    currency: Currency
    valid_months: Annotated[int, Field(ge=1, le=120)] = 12
    active: bool = True


class CatalogRequest(Body):
    """The complete new catalog. What it leaves out is retired, as with `active: false`, until a later one names it.

    A plan that is left out keeps its quotas. A plan can have quotas of active and of retired features.

    allow_cheaper_small_packs: set this if a smaller pack deliberately costs less per credit than a larger one.
    """

    features: Annotated[list[FeatureRequest], Field(min_length=1, max_length=100)]
    plans: Annotated[list[PlanRequest], Field(min_length=1, max_length=100)]
    packs: Annotated[list[PackRequest], Field(max_length=100)]
    allow_cheaper_small_packs: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, items in (("features", self.features), ("plans", self.plans), ("packs", self.packs)):
            if len({item.id for item in items}) < len(items):
                raise ValueError(f"{kind} contains a duplicate id")
        return self


class PackResponse(TypedDict):
    """A pack on sale. amount: minor units of the currency. price_per_credit: also minor units, as decimal text, rounded
    half up to nine decimal places. It is for display: the charge is `amount`."""

    id: str
    credits: int
    amount: int
    currency: str
    valid_months: int
    price_per_credit: str
    saving_percent: int
    best_value: bool


class PacksResponse(TypedDict):
    """Packs on sale, smallest first."""

    packs: list[PackResponse]


def show_packs(request: Request, deps: Deps) -> Response:
    """GET /v1/packs: packs on sale, smallest first."""
    caller_of(request)
    body: PacksResponse = {"packs": [pack_response(offer) for offer in offers(deps.catalog(deps.table))]}
    return Response(status=200, body=body)


def show_catalog(request: Request, deps: Deps) -> Response:
    """GET /v1/catalog: the version in force. The ETag contains its number."""
    caller_of(request)
    return _response(read_catalog(deps.table))


def put_catalog(request: Request, deps: Deps) -> Response:
    """PUT /v1/catalog with If-Match: the next version, in force within half a minute. Purchases keep their terms."""
    caller_for_every_account(request)
    expected = _expected_version(request.headers.get("if-match"))
    body = body_of(request, CatalogRequest)
    content = body.model_dump(exclude={"allow_cheaper_small_packs"})
    successor = catalog_from({"version": expected + 1, **content})
    check_amounts(successor)
    if not body.allow_cheaper_small_packs:
        check_prices(successor)
    replaced = replace_catalog(deps.table, successor, expected_version=expected, now=request.now)
    deps.catalog.invalidate()
    return _response(replaced)


def _response(catalog: Catalog) -> Response:
    return Response(status=200, body=catalog, headers={"ETag": f'"{catalog.version}"'})


def _expected_version(if_match: str | None) -> int:
    if not if_match:
        raise PreconditionMissing("Send If-Match with the version that you read.")
    match = ETAG.fullmatch(if_match.strip())
    if not match:
        raise InvalidRequest((("If-Match", "must be a catalog version"),))
    return int(match[1])


def pack_response(offer: Offer) -> PackResponse:
    """A pack on sale, with its price comparison."""
    return {
        "id": offer.pack.id,
        "credits": offer.pack.credits,
        "amount": offer.pack.amount,
        "currency": offer.pack.currency,
        "valid_months": offer.pack.valid_months,
        "price_per_credit": price_text(offer.price_per_credit),
        "saving_percent": offer.saving_percent,
        "best_value": offer.best_value,
    }


VERSION = {"type": "string", "pattern": f"^{ETAG.pattern}$"}
SHOWN = {
    200: ResponseSchema(
        Catalog, headers=(Header(name="ETag", description="The version.", always=True, schema=VERSION),)
    )
}

SHOW_PACKS = Route(
    method="GET",
    path="/v1/packs",
    operation_id="listPacks",
    summary="Packs on sale",
    scopes=("prepaid/read",),
    responses={200: ResponseSchema(PacksResponse)},
    refusals={},
    function=show_packs,
)
SHOW_CATALOG = Route(
    method="GET",
    path="/v1/catalog",
    operation_id="getCatalog",
    summary="The catalog in force",
    scopes=("prepaid/read",),
    responses=SHOWN,
    refusals={},
    function=show_catalog,
)
PUT_CATALOG = Route(
    method="PUT",
    path="/v1/catalog",
    operation_id="putCatalog",
    summary="Put the next version of the catalog in force",
    scopes=("prepaid/admin",),
    parameters=(
        Parameter(
            name="If-Match",
            where="header",
            required=True,
            description="The version that the change is based on: the ETag of GET /v1/catalog.",
            schema=VERSION,
        ),
    ),
    body=CatalogRequest,
    responses=SHOWN,
    refusals={400: ("malformed_body",), 412: ("version_conflict",), 428: ("if_match_missing",), **BODY_REFUSALS},
    function=put_catalog,
)
