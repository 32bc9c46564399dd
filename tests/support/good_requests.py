"""A valid request for each route. A test makes one part of it invalid."""

import json
from typing import Any

from tests.support.api import (
    BATCH,
    BUY,
    CANCEL,
    CAPTURE,
    CONSUME,
    CONSUMPTION,
    ERASE,
    FIND_CONSUMPTION,
    GRANT,
    HOLD,
    MANAGER_CODE,
    MANAGER_SESSION,
    PATCH_ACCOUNT,
    PLACE_HOLD,
    PORTAL_SESSION,
    PURCHASE,
    PURCHASES_BY_STATE,
    PUT_ACCOUNT,
    PUT_CATALOG,
    QUOTE,
    RELEASE,
    REVERSE,
    STATEMENT,
    VOID,
    Answer,
)
from tests.support.gateway_events import ADMIN
from tests.support.in_process import Service

GOOD: dict[str, dict[str, Any]] = {
    CONSUME: {"feature": "sticker", "quantity": 1, "description": "d", "customer": "c", "reference": "r"},
    BATCH: {"items": [{"idempotency_key": "k", "feature": "sticker", "quantity": 1}]},
    QUOTE: {"feature": "sticker", "quantity": 1},
    PLACE_HOLD: {
        "feature": "sticker",
        "quantity": 1,
        "ttl_seconds": 60,
        "description": "d",
        "customer": "c",
        "reference": "r",
    },
    CAPTURE: {"quantity": 1},
    REVERSE: {"quantity": 1, "reason": "r"},
    GRANT: {"credits": 1, "kind": "promotion", "reason": "r", "valid_months": 1},
    VOID: {"credits": 1, "reason": "r"},
    ERASE: {"customer": "c"},
    PUT_ACCOUNT: {
        "name": "n",
        "plan": "none",
        "ai_enabled": False,
        "quota_anchor_day": 1,
        "time_zone": "America/Sao_Paulo",
        "language": "en",
        "low_credit_threshold": 1,
        "manager_contact": "m",
        "currency": "brl",
    },
    PATCH_ACCOUNT: {"name": "n"},
    PUT_CATALOG: {
        "features": [{"id": "sticker", "price": 1}],
        "plans": [{"id": "none", "quotas": {"sticker": 1}}],
        "packs": [],
    },
    MANAGER_CODE: {"code": "271828"},
    MANAGER_SESSION: {"code": "271828"},
    BUY: {"pack": "credits-100"},
    PORTAL_SESSION: {"language": "en"},
}
WITH_BODY = sorted(GOOD)


def with_member(route: str, member: str, text: str) -> str:
    """The good body of a route, one member of it replaced by a JSON text."""
    body = json.loads(json.dumps(GOOD[route]))
    if member.startswith("packs"):
        body["packs"] = [{"id": "p", "credits": 1, "amount": 1, "currency": "brl", "valid_months": 1, "active": True}]
    *path, last = member.split(".")
    place = body
    for step in path:
        place = place[int(step) if step.isdigit() else step]
    place[last] = "THE MEMBER"
    return json.dumps(body).replace('"THE MEMBER"', text)


def ask(service: Service, route: str, **changes: Any) -> Answer:
    """With everything else valid."""
    headers = {"if-match": "1"} if route == PUT_CATALOG else {}
    paths: dict[str, dict[str, Any]] = {
        CANCEL: {"id": "pur_1"},
        CAPTURE: {"id": "hold_000000000001"},
        CONSUMPTION: {"id": "con_000000000001"},
        HOLD: {"id": "hold_000000000001"},
        RELEASE: {"id": "hold_000000000001"},
        REVERSE: {"id": "con_000000000001"},
        FIND_CONSUMPTION: {"query": {"idempotency_key": "k"}},
        PURCHASE: {"id": "pur_1"},
        PURCHASES_BY_STATE: {"query": {"state": "open"}},
        STATEMENT: {"month": "2026-06"},
        VOID: {"id": "gra_000000000001"},
    }
    more = {"by": ADMIN} if route == MANAGER_CODE else paths.get(route, {})
    return service(route, **{**more, **changes, "headers": {**headers, **changes.get("headers", {})}})
