"""Debits, grants and voids, and the same keys again."""

import json
from dataclasses import replace

from tests.oracle import requests
from tests.oracle.calendar import DAY, milliseconds_of, time_text
from tests.oracle.catalog import Json
from tests.oracle.rows import EXPIRES_AT, NUMBER
from tests.simulation.actions.asking import WAITING, account_of, ask, new_key
from tests.simulation.actions.erasing import erasure_of
from tests.simulation.frames import Answer, ClientRequest
from tests.simulation.step import Step
from tests.simulation.world import ANYBODY, KEPT_REQUESTS, World
from tests.support.api import BATCH, CONSUME, GRANT, VOID
from tests.support.gateway_events import ADMIN

# The number of an entry that no account reaches.
FAR = 10**6
# Of a grant that names no end.
DEFAULT_MONTHS = 12
OK = 200


def debit(world: World, step: Step) -> None:
    account = account_of(step)
    feature, quantity = step["feature"], quantity_of(world, step, account)
    body: Json = {"feature": feature, "quantity": quantity}
    if step.get("reference"):
        body |= {"reference": f"{step['reference']} {account}", "customer": f"=customer of {account}"}
    ask(world, step, debit_of(account, new_key(world), body))


def batch(world: World, step: Step) -> None:
    """Each item is kept as if it had been sent alone: its key may come again alone, in a batch, or in a look-up."""
    account = account_of(step)
    used = [request for request, _ in world.requests if request.account == account and request.kind == "debit"]
    items: list[ClientRequest] = []
    for how, feature, quantity, back in step["items"]:
        of_step = replace(step, with_=(("feature", feature), ("quantity", quantity)))
        body: Json = {"feature": feature, "quantity": quantity_of(world, of_step, account)}
        earlier = items if how.startswith("twice") else used if how.startswith("used") else []
        item = debit_of(account, new_key(world), body)
        if earlier:
            item = earlier[-1 - back % len(earlier)]
        if earlier and how.endswith("other"):
            item = other(item, "other", account)
        if how == "wrong":
            item = debit_of(account, new_key(world), body | {"quantity": 0})
        items.append(item)
    body = {"items": [{"idempotency_key": item.key, **(item.body or {})} for item in items]}
    answer = world.ask(
        step, ClientRequest("batch", BATCH, account, body, claims=ANYBODY, details={"items": tuple(items)})
    )
    results = answer.body["results"] if answer and answer.status == OK else [None] * len(items)
    for item, result in zip(items, results, strict=True):
        alone = Answer(result["status"], {}, result) if result else answer
        if item.body and item.body["quantity"]:
            world.requests.append((item, [alone]))
    del world.requests[:-KEPT_REQUESTS]


def debit_of(account: str, key: str, body: Json) -> ClientRequest:
    signature = ("consumption", *(body.get(name) for name in ("feature", "quantity", "customer", "reference")))
    texts: Json = {name: body[name] for name in ("customer", "reference") if name in body}
    return ClientRequest(
        "debit",
        CONSUME,
        account,
        body,
        key,
        ANYBODY,
        details=body,
        signature=signature,
        request=requests.Debit(
            actor="service-client", feature=body["feature"], quantity=body["quantity"], key=key, texts=texts
        ),
    )


def quantity_of(world: World, step: Step, account: str) -> int:
    """How many units: the number that the step names, or all that credits or quota pay for."""
    wanted = step["quantity"]
    if isinstance(wanted, int):
        return int(wanted)
    ledger = world.ledger(account)
    if not ledger.number:
        return 1
    state = ledger.state.at(max(world.now(step), ledger.time))
    catalog = world.auditor.catalogs[world.auditor.in_force[-1][1]]
    left: int = state.left_for(step["feature"], catalog)
    price: int = catalog.prices.get(step["feature"], 1)
    units = left if wanted == "quota" or not price else left + state.available // price
    return min(10_000, max(1, units + int(wanted == "one more")))


def grant(world: World, step: Step) -> None:
    account = account_of(step)
    body: Json = {"credits": step["credits"], "kind": step["lot"], "reason": f"because of {account}"}
    lasting = step["lasting"]
    if isinstance(lasting, int):
        body["valid_months"] = lasting
    elif lasting is not None:
        body["expires_at"] = time_text(_end(world, step, account, lasting))
    ask(world, step, grant_of(account, new_key(world), body))


def grant_of(account: str, key: str, body: Json) -> ClientRequest:
    ends = body.get("expires_at")
    return ClientRequest(
        "grant",
        GRANT,
        account,
        body,
        key,
        ADMIN,
        signature=("grant", json.dumps(body, sort_keys=True)),
        request=requests.Grant(
            actor="admin-client",
            kind=body["kind"],
            credits=body["credits"],
            months=body.get("valid_months", DEFAULT_MONTHS),
            expires_at=milliseconds_of(ends) if ends else None,
            description=body["reason"],
            key=key,
        ),
    )


def void(world: World, step: Step) -> None:
    account = account_of(step)
    kinds, wanted = world.ledger(account).kinds, step["what"]
    lots = [number for number, kind in kinds.items() if (kind == "purchase") == (wanted == "purchase")]
    if wanted == "left":
        live = {row[NUMBER] for row in world.ledger(account).state.lots} if lots else set()
        lots = [number for number in lots if number in live]
    found = {"entry": [1], "unknown": [FAR]}.get(wanted, lots)
    if not found:
        world.nothing(step)
        return
    body: Json = {"reason": f"a mistake of {account}"}
    if step["credits"] is not None:
        body["credits"] = step["credits"]
    ask(world, step, void_of(account, new_key(world), found[-1 - step["back"] % len(found)], body))


def void_of(account: str, key: str, lot: int, body: Json) -> ClientRequest:
    return ClientRequest(
        "void",
        VOID,
        account,
        body,
        key,
        ADMIN,
        path=(("id", f"gra_{lot:012d}"),),
        signature=("void", lot, json.dumps(body, sort_keys=True)),
        request=requests.Void(
            actor="admin-client", lot=lot, credits=body.get("credits"), description=body["reason"], key=key
        ),
    )


def _end(world: World, step: Step, account: str, lasting: str) -> int:
    now, lots = world.now(step), world.ledger(account).states[-1:]
    if lasting == "as another" and lots and lots[0].lots:
        return int(lots[0].lots[-1][EXPIRES_AT])
    return now + {"soon": 90_000, "past": 0, "day": DAY}.get(lasting, 2 * DAY)


def again(world: World, step: Step) -> None:
    """The same key again, for the same request or another one."""
    how, account = step["how"], account_of(step)
    own = [request for request in world.requests if request[0].account == account or how in {"unanswered", "any"}]
    if how == "unanswered":
        own = [request for request in own if (request[1][0].status if request[1][0] else None) in WAITING]
    if how == "refused":
        own = [request for request in own if request[1][0] and request[1][0].status == 402]
    if not own:
        world.nothing(step)
        return
    request, _ = own[-1 - step["back"] % len(own)]
    ask(world, step, other(request, how, account))


def other(request: ClientRequest, how: str, account: str) -> ClientRequest:
    """The request with a used key: the same, or one that is only similar."""
    body = request.body or {}
    if how == "other" and request.kind == "debit":
        return debit_of(request.account, request.key, body | {"quantity": body["quantity"] % 9_999 + 1})
    if how == "other":
        return _other_of(request, body)
    if how == "crossed":
        if request.kind == "debit":
            crossed: Json = {"credits": 2, "kind": "promotion", "reason": f"because of {request.account}"}
            return grant_of(request.account, request.key, crossed)
        return debit_of(request.account, request.key, {"feature": "sticker", "quantity": 1})
    if how == "stranger" and request.kind in {"debit", "grant"}:
        return of_a_stranger(request, f"shop-{(int(account[-1]) + 1) % 4}")
    return request


def _other_of(request: ClientRequest, body: Json) -> ClientRequest:
    """Another void or erasure; of other kinds, the very same."""
    if request.kind == "erase":
        return erasure_of(request.account, request.key, f"another {body['customer']}")
    if isinstance(request.request, requests.Void):
        return void_of(
            request.account, request.key, request.request.lot, body | {"credits": body.get("credits", 0) + 1}
        )
    return request


def of_a_stranger(request: ClientRequest, account: str) -> ClientRequest:
    """The same key and request from another account, with that account's own id in it."""
    assert request.body is not None
    body = {
        name: value.replace(request.account, account) if isinstance(value, str) else value
        for name, value in request.body.items()
    }
    return (debit_of if request.kind == "debit" else grant_of)(account, request.key, body)
