"""Spending credits: the one route that every use of a feature waits for, so it imports nothing it doesn't need."""

from prepaid import wiring
from prepaid.api import consumptions
from prepaid.api.http import serve
from prepaid.settings import from_environment

ROUTES = {"POST /v1/accounts/{account}/consumptions": consumptions.consume}

handler = serve(ROUTES, wiring.build(from_environment()))
