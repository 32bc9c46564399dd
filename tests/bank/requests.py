"""The requests of a bank run: a pure function of seed, client and index, so that any process can send any again."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

type Kind = Literal["debit", "grant", "void", "terms", "balance"]

QUANTITIES = (1, 1, 1, 2, 3, 5, 8, 40)
FEATURES = ("sticker", "ai_service")
PLANS = ("none", "individual", "trio")
KINDS = ("promotion", "adjustment")
# In a hundred: debits, grants, voids, changes of terms, balances, retries of another request, and keys reused for
# another one.
WEIGHTS = {"debit": 50, "grant": 13, "void": 4, "terms": 3, "balance": 14, "retry": 13, "reuse": 3}
# The entries among which a void picks its grant: few, so that several pick the same.
OLDEST_LOTS = 30
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
    """One request. key: None for a route without one. body: None for a route without one. lot: that a void names."""

    kind: Kind
    account: str
    key: str | None = None
    body: dict[str, Any] | None = None
    lot: int = 0


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


def _fresh(plan: Plan, client: int, index: int, kind: str, dice: Random) -> Request:
    account = _account(plan, dice)
    key = f"{client}-{index}"
    if kind == "debit":
        body = {"feature": dice.choice(FEATURES), "quantity": dice.choice(QUANTITIES), "reference": key}
        return Request(kind="debit", account=account, key=key, body=body)
    if kind == "grant":
        return Request(kind="grant", account=account, key=key, body=_grant_body(plan, key, dice))
    if kind == "void":
        # Whether the grant exists, and what is left of it, is known only when the request runs.
        body = {"reason": key} | ({"credits": dice.choice(QUANTITIES)} if dice.random() < 0.5 else {})
        return Request(kind="void", account=account, key=key, body=body, lot=dice.randint(2, OLDEST_LOTS))
    if kind == "terms":
        return _terms(account, dice.choice(PLANS), ai_enabled=dice.random() < 0.8)
    return Request(kind="balance", account=account)


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
    """A debit, a grant or a void that this client or another one sends at about this time, or sent earlier."""
    sender = dice.randrange(plan.clients)
    near = dice.random() < 0.7
    latest = min(index, plan.requests_of(sender) - 1)
    which = max(0, latest - dice.randrange(NEAR)) if near else dice.randint(0, max(0, latest))
    for earlier in range(which, -1, -1):
        theirs = Random(f"{plan.seed}/{sender}/{earlier}")
        [kind] = theirs.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))
        if kind in {"debit", "grant", "void"}:
            return _fresh(plan, sender, earlier, kind, theirs)
    return Request(kind="balance", account=_account(plan, dice))


def _reused(first: Request, dice: Random) -> Request:
    """The same key for another request: another number, or a debit's key for a grant."""
    if first.body is None:
        return first
    if first.kind == "void":
        return replace(first, body={**first.body, "credits": first.body.get("credits", 0) + 1})
    if first.kind == "grant":
        return replace(first, body={**first.body, "credits": first.body["credits"] + 1})
    if dice.random() < 0.5:
        grant = {"credits": 1, "kind": "promotion", "reason": first.key, "valid_months": 1}
        return replace(first, kind="grant", body=grant)
    return replace(first, body={**first.body, "quantity": first.body["quantity"] + 1})
