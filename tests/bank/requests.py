"""The requests of a bank run: a pure function of seed, client and index, so that any process can send any again."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

type Kind = Literal[
    "debit",
    "hold",
    "capture",
    "release",
    "reversal",
    "batch",
    "grant",
    "void",
    "terms",
    "erasure",
    "quote",
    "balance",
]

QUANTITIES = (1, 1, 1, 2, 3, 5, 8, 40)
FEATURES = ("sticker", "ai_service")
PLANS = ("none", "individual", "trio")
KINDS = ("promotion", "adjustment")
# In a hundred. Besides the kinds: retries of another request, and keys reused for another one.
WEIGHTS = {
    "debit": 30,
    "hold": 11,
    "capture": 6,
    "release": 3,
    "reversal": 5,
    "batch": 3,
    "grant": 11,
    "void": 3,
    "terms": 2,
    "erasure": 1,
    "quote": 3,
    "balance": 6,
    "retry": 13,
    "reuse": 3,
}
# What a request of the kind is about: one in six names an entry of the wrong kind.
ABOUT = {
    "capture": ("hold", "debit"),
    "release": ("hold", "debit"),
    "reversal": ("debit", "capture", "hold"),
    "void": ("grant", "debit"),
}
LIKELY = {"capture": (6, 1), "release": (6, 1), "reversal": (4, 2, 1), "void": (6, 1)}
RETRIED = frozenset({"debit", "hold", "capture", "release", "reversal", "batch", "grant", "void", "erasure"})
# Some holds lapse while the run goes on.
TTL_SECONDS = (1, 2, 4, 900)
CUSTOMERS = ("Ana", "Maria", "Rui")
# How far back a retry looks: so near that the first request may still be running, in this process or another one.
NEAR = 3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One bank run. clients: processes x threads, each with a history of its own. started_at: Unix time.

    lasts_seconds: some grants expire within it, while the run goes on.
    """

    seed: int
    operations: int
    processes: int
    threads: int
    hot: int
    cold: int
    started_at: float
    lasts_seconds: float

    @property
    def clients(self) -> int:
        return self.processes * self.threads

    def requests_of(self, client: int) -> int:
        """How many requests this client makes."""
        return self.operations // self.clients + (client < self.operations % self.clients)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request. key: None for a route without one. body: None for a route without one.

    about: the id of the grant, hold or charge that it names. first: the request whose response states that id; a client
    sends it first, again.
    """

    kind: Kind
    account: str
    key: str | None = None
    body: dict[str, Any] | None = None
    about: str = ""
    first: "Request | None" = None


def request_at(plan: Plan, client: int, index: int) -> Request:
    """The client's request number `index`."""
    dice = Random(f"{plan.seed}/{client}/{index}")
    [kind] = dice.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))
    if kind in {"retry", "reuse"}:
        first = _retried(plan, client, index, dice)
        return _reused(first, dice) if kind == "reuse" else first
    return _fresh(plan, client, index, kind, dice)


def opening(account: str) -> Request:
    """What a client sends when the account does not exist yet."""
    return _terms(account, "individual", ai_enabled=True)


def _fresh(plan: Plan, client: int, index: int, kind: str, dice: Random) -> Request:  # noqa: PLR0911 - one case for each kind
    key = f"{client}-{index}"
    if kind in ABOUT:
        [about] = dice.choices(ABOUT[kind], weights=LIKELY[kind])
        return _about(plan, client, index, kind, about, dice)
    account = _account(plan, dice)
    match kind:
        case "debit":
            return Request(kind="debit", account=account, key=key, body=_use(key, dice))
        case "hold":
            body = _use(key, dice) | {"ttl_seconds": dice.choice(TTL_SECONDS)}
            return Request(kind="hold", account=account, key=key, body=body)
        case "batch":
            return Request(kind="batch", account=account, body={"items": _items(key, dice)})
        case "grant":
            return Request(kind="grant", account=account, key=key, body=_grant_body(plan, key, dice))
        case "terms":
            return _terms(account, dice.choice(PLANS), ai_enabled=dice.random() < 0.8)
        case "erasure":
            return Request(kind="erasure", account=account, key=key, body={"customer": dice.choice(CUSTOMERS)})
        case "quote":
            body = {"feature": dice.choice(FEATURES), "quantity": dice.choice(QUANTITIES)}
            return Request(kind="quote", account=account, body=body)
    return Request(kind="balance", account=account)


def _use(key: str, dice: Random) -> dict[str, Any]:
    named = {"customer": dice.choice(CUSTOMERS)} if dice.random() < 0.3 else {}
    return {"feature": dice.choice(FEATURES), "quantity": dice.choice(QUANTITIES), "reference": key, **named}


def _items(key: str, dice: Random) -> list[dict[str, Any]]:
    """Some have one key, some are malformed."""
    keys = [f"{key}-{dice.randint(1, 6)}" for _ in range(dice.randint(1, 6))]
    items = [{"idempotency_key": each, **_use(each, Random(each))} for each in keys]
    return [item | ({"quantity": 0} if dice.random() < 0.1 else {}) for item in items]


def _about(plan: Plan, client: int, index: int, kind: str, about: str, dice: Random) -> Request:
    """A capture, release, reversal or void of what this client or another one asked for earlier."""
    sender = client if dice.random() < 0.7 else dice.randrange(plan.clients)
    first = _earlier(plan, sender, min(index, plan.requests_of(sender)) - 1, frozenset({about}))
    if first is None:
        return Request(kind="balance", account=_account(plan, dice))
    key = f"{client}-{index}"
    part = {"quantity": dice.choice((0, 1, 1, 2, 41))} if dice.random() < 0.5 else {}
    if kind == "capture":
        return Request(kind="capture", account=first.account, key=key, body=part, first=first)
    if kind == "release":
        return Request(kind="release", account=first.account, key=key, first=first)
    if kind == "void":
        body = {"reason": key} | ({"credits": dice.choice(QUANTITIES)} if part else {})
        return Request(kind="void", account=first.account, key=key, body=body, first=first)
    part = {"quantity": max(1, part["quantity"])} if part else {}
    return Request(kind="reversal", account=first.account, key=key, body={"reason": key, **part}, first=first)


def _earlier(plan: Plan, sender: int, latest: int, kinds: frozenset[str]) -> Request | None:
    """The newest request of these kinds that a client makes up to its request number `latest`."""
    for earlier in range(latest, -1, -1):
        theirs = Random(f"{plan.seed}/{sender}/{earlier}")
        [kind] = theirs.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))
        if kind in kinds:
            request = _fresh(plan, sender, earlier, kind, theirs)
            # One that found nothing to be about is another kind of request.
            if request.kind == kind:
                return request
    return None


def _account(plan: Plan, dice: Random) -> str:
    # About one request in six competes for a few accounts.
    if dice.random() < 0.15:
        return f"hot-{dice.randrange(plan.hot)}"
    return f"cold-{dice.randrange(plan.cold)}"


def _grant_body(plan: Plan, key: str, dice: Random) -> dict[str, Any]:
    grant: dict[str, Any] = {"credits": dice.randint(1, 30), "kind": dice.choice(KINDS), "reason": key}
    if dice.random() < 0.2:
        ends = datetime.fromtimestamp(plan.started_at, UTC) + timedelta(seconds=dice.random() * plan.lasts_seconds)
        return grant | {"expires_at": ends.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    return grant | {"valid_months": dice.choice((1, 12))}


def _terms(account: str, plan: str, *, ai_enabled: bool) -> Request:
    body = {
        "name": "Pet & Cia",
        "plan": plan,
        "ai_enabled": ai_enabled,
        "quota_anchor_day": 1,
        "time_zone": "America/Sao_Paulo",
        "language": "pt-BR",
        "low_credit_threshold": 10,
        "manager_contact": None,
    }
    return Request(kind="terms", account=account, body=body)


def _retried(plan: Plan, client: int, index: int, dice: Random) -> Request:
    """A request with a key that this client or another one sends at about this time, or sent earlier."""
    sender = dice.randrange(plan.clients)
    near = dice.random() < 0.7
    latest = min(index, plan.requests_of(sender) - 1)
    which = max(0, latest - dice.randrange(NEAR)) if near else dice.randint(0, max(0, latest))
    return _earlier(plan, sender, which, RETRIED) or Request(kind="balance", account=_account(plan, dice))


def _reused(first: Request, dice: Random) -> Request:
    """The same key for another request: another number or name, or a debit's key for a grant."""
    if first.body is None:
        return first
    match first.kind:
        case "void" | "grant":
            return replace(first, body={**first.body, "credits": first.body.get("credits", 0) + 1})
        case "erasure":
            return replace(first, body={"customer": f"not {first.body['customer']}"})
        case "batch":
            items = [{**item, "quantity": item["quantity"] + 1} for item in first.body["items"]]
            return replace(first, body={"items": items})
        case "debit" if dice.random() < 0.5:
            grant = {"credits": 1, "kind": "promotion", "reason": first.key, "valid_months": 1}
            return replace(first, kind="grant", body=grant)
    return replace(first, body={**first.body, "quantity": first.body.get("quantity", 0) + 1})
