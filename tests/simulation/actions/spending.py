"""Debits, grants and voids, and the same keys again."""

import json

from tests.oracle import rules
from tests.oracle.account import EXPIRES_AT, NUMBER
from tests.oracle.calendar import DAY, milliseconds_of, time_text
from tests.oracle.catalog import Json
from tests.simulation.actions.asking import account_of, ask, new_key
from tests.simulation.frames import ClientRequest
from tests.simulation.steps import Step
from tests.simulation.world import ANYBODY, World
from tests.support.api import CONSUME, GRANT, VOID
from tests.support.gateway_events import ADMIN

# The number of an entry that no account reaches.
FAR = 10**6
# Of a grant that names no end.
DEFAULT_MONTHS = 12
# The statuses after which a client asks again; None: it got no answer.
WAITING = {None, 503}


def debit(world: World, step: Step) -> None:
    account = account_of(step)
    feature, quantity = step["feature"], _quantity(world, step, account)
    body: Json = {"feature": feature, "quantity": quantity}
    if step.get("reference"):
        body |= {"reference": f"{step['reference']} {account}", "customer": f"=customer of {account}"}
    ask(world, step, debit_of(account, new_key(world), body))


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
        request=rules.Debit(
            actor="service-client", feature=body["feature"], quantity=body["quantity"], key=key, texts=texts
        ),
    )


def _quantity(world: World, step: Step, account: str) -> int:
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
        request=rules.Grant(
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
        request=rules.Void(
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
    """What is asked with a key that was used: the very same, or something that only looks like it."""
    body = request.body or {}
    if how == "other" and request.kind == "debit":
        return debit_of(request.account, request.key, body | {"quantity": body["quantity"] % 9_999 + 1})
    if how == "other" and isinstance(request.request, rules.Void):
        return void_of(
            request.account, request.key, request.request.lot, body | {"credits": body.get("credits", 0) + 1}
        )
    if how == "crossed":
        if request.kind == "debit":
            crossed: Json = {"credits": 2, "kind": "promotion", "reason": f"because of {request.account}"}
            return grant_of(request.account, request.key, crossed)
        return debit_of(request.account, request.key, {"feature": "sticker", "quantity": 1})
    if how == "stranger" and request.kind in {"debit", "grant"}:
        return of_a_stranger(request, f"shop-{(int(account[-1]) + 1) % 4}")
    return request


def of_a_stranger(request: ClientRequest, account: str) -> ClientRequest:
    """The same key and request from another account, with that account's own id in it."""
    assert request.body is not None
    body = {
        name: value.replace(request.account, account) if isinstance(value, str) else value
        for name, value in request.body.items()
    }
    return (debit_of if request.kind == "debit" else grant_of)(account, request.key, body)
