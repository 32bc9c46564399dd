"""Holds, captures, releases and reversals."""

from tests.oracle import requests
from tests.oracle.catalog import Json
from tests.oracle.rows import HOLD_NUMBER, QUANTITY, Row
from tests.simulation.actions.asking import account_of, ask, new_key
from tests.simulation.frames import ClientRequest
from tests.simulation.step import Step
from tests.simulation.world import ANYBODY, World
from tests.support.api import CAPTURE, PLACE_HOLD, RELEASE, REVERSE

ACTOR = "service-client"
# The number of an entry that no account reaches.
FAR = 10**6


def hold(world: World, step: Step) -> None:
    account, key = account_of(step), new_key(world)
    body: Json = {"feature": step["feature"], "quantity": step["quantity"], "ttl_seconds": step["ttl"]}
    texts: Json = {"customer": f"customer of {account}", "reference": f"work {account}"} if step["named"] else {}
    placed = requests.PlaceHold(
        actor=ACTOR, feature=step["feature"], quantity=step["quantity"], ttl_seconds=step["ttl"], key=key, texts=texts
    )
    request = ClientRequest(
        "hold",
        PLACE_HOLD,
        account,
        body | texts,
        key,
        ANYBODY,
        details=body,
        signature=("hold", *body.values(), *texts.values()),
        request=placed,
    )
    ask(world, step, request)


def capture(world: World, step: Step) -> None:
    account, key, number = account_of(step), new_key(world), _hold(world, step)
    if number is None:
        world.nothing(step)
        return
    held = next((row[QUANTITY] for row in _live(world, account) if row[HOLD_NUMBER] == number), 1)
    parts = {"all": None, "half": held // 2, "none": 0, "one": 1, "more": held + 1}
    quantity = parts[step["part"]]
    request = ClientRequest(
        "capture",
        CAPTURE,
        account,
        {} if quantity is None else {"quantity": quantity},
        key,
        ANYBODY,
        path=(("id", f"hold_{number:012d}"),),
        signature=("capture", number, quantity),
        request=requests.Capture(actor=ACTOR, hold=number, quantity=quantity, key=key),
    )
    ask(world, step, request)


def release(world: World, step: Step) -> None:
    account, key, number = account_of(step), new_key(world), _hold(world, step)
    if number is None:
        world.nothing(step)
        return
    request = ClientRequest(
        "release",
        RELEASE,
        account,
        None,
        key,
        ANYBODY,
        path=(("id", f"hold_{number:012d}"),),
        signature=("release", number),
        request=requests.Release(actor=ACTOR, hold=number, key=key),
    )
    ask(world, step, request)


def reverse(world: World, step: Step) -> None:
    account, key = account_of(step), new_key(world)
    lines = world.ledger(account).lines
    wanted: dict[str, list[int]] = {
        "charge": [n for n, line in enumerate(lines, 1) if line["type"] in {"consumption", "capture"}],
        "capture": [n for n, line in enumerate(lines, 1) if line["type"] == "capture"],
        "reversed": [line["reverses"] for line in lines if "reverses" in line],
        "entry": [n for n, line in enumerate(lines, 1) if line["type"] not in {"consumption", "capture"}],
        "unknown": [FAR],
    }
    found = wanted[step["what"]]
    if not found:
        world.nothing(step)
        return
    number, quantity = found[-1 - step["back"] % len(found)], step["quantity"]
    reason = f"a failure of {account}"
    request = ClientRequest(
        "reverse",
        REVERSE,
        account,
        {"reason": reason} | ({} if quantity is None else {"quantity": quantity}),
        key,
        ANYBODY,
        path=(("id", f"con_{number:012d}"),),
        signature=("reverse", number, quantity, reason),
        request=requests.Reverse(actor=ACTOR, entry=number, quantity=quantity, description=reason, key=key),
    )
    ask(world, step, request)


def _hold(world: World, step: Step) -> int | None:
    """The number of the hold that the step means; None when there is none."""
    account = account_of(step)
    lines = world.ledger(account).lines
    found: dict[str, list[int]] = {
        "live": [row[HOLD_NUMBER] for row in _live(world, account)],
        "any": [n for n, line in enumerate(lines, 1) if line["type"] == "hold"],
        "entry": [n for n, line in enumerate(lines, 1) if line["type"] != "hold"],
        "unknown": [FAR],
    }
    numbers = found[step["what"]]
    return numbers[-1 - step["back"] % len(numbers)] if numbers else None


def _live(world: World, account: str) -> list[Row]:
    ledger = world.ledger(account)
    return list(ledger.state.holds) if ledger.number else []
