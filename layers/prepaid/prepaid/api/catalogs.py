"""Showing and changing what is sold."""

import re
from dataclasses import asdict

from prepaid.api.answers import pack_answer
from prepaid.api.http import Request, Response, body_of, caller_for_every_account, caller_of
from prepaid.api.problems import PreconditionMissing
from prepaid.api.requests import CatalogRequest
from prepaid.core.catalog import Catalog, check_amounts, check_prices, offers
from prepaid.core.errors import InvalidRequest
from prepaid.store.catalog import CatalogCache, catalog_from, read_catalog, replace_catalog
from prepaid.store.dynamodb import Table

ETAG = re.compile(r'"?([1-9][0-9]{0,8})"?', re.ASCII)


def show_packs(request: Request, catalog: CatalogCache) -> Response:
    """GET /v1/packs: what can be bought, smallest first."""
    caller_of(request)
    return Response(status=200, body={"packs": [pack_answer(offer) for offer in offers(catalog(request.patience))]})


def show_catalog(request: Request, table: Table) -> Response:
    """GET /v1/catalog: the version in force, its number as ETag too."""
    caller_of(request)
    return _answer(read_catalog(table, request.patience))


def put_catalog(request: Request, table: Table, in_force: CatalogCache) -> Response:
    """PUT /v1/catalog with If-Match: the next version, in force within half a minute. What was bought stays."""
    caller_for_every_account(request)
    expected = _expected_version(request.headers.get("if-match"))
    asked = body_of(request, CatalogRequest)
    wanted = asked.model_dump(exclude={"allow_cheaper_small_packs"})
    successor = catalog_from({"version": expected + 1, **wanted})
    check_amounts(successor)
    if not asked.allow_cheaper_small_packs:
        check_prices(successor)
    replaced = replace_catalog(table, successor, expected_version=expected, now=request.now, patience=request.patience)
    in_force.forget()
    return _answer(replaced)


def _answer(catalog: Catalog) -> Response:
    return Response(status=200, body=asdict(catalog), headers={"ETag": f'"{catalog.version}"'})


def _expected_version(if_match: str | None) -> int:
    if not if_match:
        raise PreconditionMissing("Send If-Match with the version that you read.")
    match = ETAG.fullmatch(if_match.strip())
    if not match:
        raise InvalidRequest((("If-Match", "must be a catalog version"),))
    return int(match[1])
