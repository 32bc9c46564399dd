"""Spending credits: the one route that every use of a feature waits for, so it imports nothing it doesn't need."""

from prepaid import wiring
from prepaid.api import consumptions
from prepaid.api.http import Request, Response, serve


def consume(request: Request) -> Response:
    """POST /v1/accounts/{account}/consumptions"""
    return consumptions.consume(request, wiring.table(), wiring.catalog())


handler = serve({"POST /v1/accounts/{account}/consumptions": consume}, wiring.now)
