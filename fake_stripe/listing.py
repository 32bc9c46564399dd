"""Lists, paging and expansion, the same for every kind of object."""

import copy
from collections.abc import Callable, Iterable

from fake_stripe.errors import Json, StripeError, missing
from fake_stripe.forms import Params
from fake_stripe.state import State

DEFAULT_LIMIT = 10
MAX_LIMIT = 100
MAX_EXPANSIONS = 20
MAX_EXPAND_DEPTH = 4
PAGING = ("limit", "starting_after", "ending_before", "created", "expand")
EXPANDABLE = {
    "balance_transaction": "balance_transaction", "charge": "charge", "customer": "customer",
    "failure_balance_transaction": "balance_transaction", "latest_charge": "charge",
    "payment_intent": "payment_intent", "product": "product",
}  # fmt: skip
INCLUDABLE = ("data", "line_items", "price", "refunds")
COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__
}  # fmt: skip


def envelope(data: list[Json], url: str, *, has_more: bool = False) -> Json:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def page(records: Iterable[Json], params: Params, url: str) -> Json:
    """Return one page of `things`, which are sorted newest first."""
    limit = params.integer("limit", least=1, most=MAX_LIMIT) or DEFAULT_LIMIT
    ordered = list(records)
    after, before = params.text("starting_after"), params.text("ending_before")
    if after and before:
        raise StripeError("You can't use both starting_after and ending_before.", param="starting_after")
    if before:
        newer = ordered[: _position(ordered, before, "ending_before")]
        in_range = [record for record in newer if _created_within(record, params)]
        return envelope(in_range[-limit:], url, has_more=len(in_range) > limit)
    if after:
        ordered = ordered[_position(ordered, after, "starting_after") + 1 :]
    in_range = [record for record in ordered if _created_within(record, params)]
    return envelope(in_range[:limit], url, has_more=len(in_range) > limit)


def _position(records: list[Json], identifier: str, param: str) -> int:
    for index, record in enumerate(records):
        if record["id"] == identifier:
            return index
    raise missing("object", identifier, param)


def _created_within(record: Json, params: Params) -> bool:
    if "created" not in params.fields or "created" not in record:
        return True
    if isinstance(params.fields["created"], str):
        return bool(record["created"] == params.integer("created"))
    bounds = params.child("created")
    bounds.allow(tuple(COMPARISONS))
    return all(COMPARISONS[name](record["created"], bounds.integer(name) or 0) for name in bounds.fields)


def expansions(params: Params) -> list[str]:
    """Return the paths in `expand[]`. Raises StripeError for a path that no object can expand."""
    paths = params.strings("expand") or []
    if len(paths) > MAX_EXPANSIONS:
        raise StripeError(f"You can expand at most {MAX_EXPANSIONS} properties", param="expand")
    for path in paths:
        parts = path.split(".")
        if len(parts) > MAX_EXPAND_DEPTH + (parts[0] == "data"):
            raise StripeError(f"You cannot expand more than {MAX_EXPAND_DEPTH} levels: {path}", param="expand")
        if not all(part in EXPANDABLE or part in INCLUDABLE for part in parts):
            raise _not_expandable(path)
    return paths


def expanded(state: State, response: Json, paths: list[str]) -> Json:
    """Return a copy of the response with the objects at `paths` in place of their ids."""
    response = copy.deepcopy(response)
    for path in paths:
        _expand(state, response, path.split("."), path)
    return response


def _not_expandable(path: str) -> StripeError:
    return StripeError(f"This property cannot be expanded ({path}).", param="expand")


def _expand(state: State, node: Json, parts: list[str], path: str) -> None:
    name, *rest = parts
    if name == "data" and isinstance(node.get("data"), list):
        for item in node["data"]:
            if rest:
                _expand(state, item, rest, path)
        return
    included = _included(state, node, name)
    if included is not None:
        node[name] = included
    elif isinstance(node.get(name), str) and name in EXPANDABLE:
        node[name] = copy.deepcopy(state.find(EXPANDABLE[name], node[name]))
    elif not (name in EXPANDABLE and name in node) and not isinstance(node.get(name), dict):
        raise _not_expandable(path)
    if rest and isinstance(node.get(name), dict):
        _expand(state, node[name], rest, path)


def _included(state: State, node: Json, name: str) -> Json | None:
    """Return fields that only an expansion includes: a session's line items, a charge's refunds."""
    identifier = node.get("id", "")
    if node.get("object") == "checkout.session" and name == "line_items" and name not in node:
        items = copy.deepcopy(state.baskets[identifier].items)
        return envelope(items[:MAX_LIMIT], f"/v1/checkout/sessions/{identifier}/line_items")
    if node.get("object") == "charge" and name == "refunds" and name not in node:
        refunds = [copy.deepcopy(refund) for refund in state.newest_first("refund") if refund["charge"] == identifier]
        return envelope(
            refunds[:DEFAULT_LIMIT], f"/v1/charges/{identifier}/refunds", has_more=len(refunds) > DEFAULT_LIMIT
        )
    return None
