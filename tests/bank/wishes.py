"""What the bank run asks for: a pure function of seed, client and index, so that any process can repeat any request."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

type Ask = Literal["debit", "grant", "terms", "balance"]

QUANTITIES = (1, 1, 1, 2, 3, 5, 8, 40)
FEATURES = ("sticker", "ai_service")
PLANS = ("none", "individual", "trio")
KINDS = ("promotion", "adjustment")
# Of a hundred: debits, gifts, changes of terms, balances, repeats of somebody's key, and keys used for something else.
WEIGHTS = {"debit": 54, "grant": 13, "terms": 3, "balance": 14, "repeat": 13, "misuse": 3}
# How far back a repeat looks: so near that its first use may still be under way, in another process, or anywhere.
NEAR = 3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One bank run. clients: processes x threads, each with a history of its own. started_at: Unix time.

    lasts_seconds: within it, gifts are made that end while the run goes on.
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

    def wishes_of(self, client: int) -> int:
        """How many of the operations are this client's."""
        return self.operations // self.clients + (client < self.operations % self.clients)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One request. key: None for what needs none. body: None for what has none."""

    ask: Ask
    account: str
    key: str | None = None
    body: dict[str, Any] | None = None


def wish(plan: Plan, client: int, index: int) -> Wish:
    """The client's request number `index`."""
    dice = Random(f"{plan.seed}/{client}/{index}")
    [kind] = dice.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))
    if kind in {"repeat", "misuse"}:
        first = _somebodys(plan, client, index, dice)
        return _misused(first, dice) if kind == "misuse" else first
    return _fresh(plan, client, index, kind, dice)


def opening(account: str) -> Wish:
    """What a client does that finds no account."""
    return _terms(account, "individual", ai_enabled=True)


def _fresh(plan: Plan, client: int, index: int, kind: str, dice: Random) -> Wish:
    account = _account(plan, dice)
    key = f"{client}-{index}"
    if kind == "debit":
        body = {"feature": dice.choice(FEATURES), "quantity": dice.choice(QUANTITIES), "reference": key}
        return Wish(ask="debit", account=account, key=key, body=body)
    if kind == "grant":
        return Wish(ask="grant", account=account, key=key, body=_gift(plan, key, dice))
    if kind == "terms":
        return _terms(account, dice.choice(PLANS), ai_enabled=dice.random() < 0.8)
    return Wish(ask="balance", account=account)


def _account(plan: Plan, dice: Random) -> str:
    # Every sixth request or so meets others on a few accounts.
    if dice.random() < 0.15:
        return f"hot-{dice.randrange(plan.hot)}"
    return f"cold-{dice.randrange(plan.cold)}"


def _gift(plan: Plan, key: str, dice: Random) -> dict[str, Any]:
    gift: dict[str, Any] = {"credits": dice.randint(1, 30), "kind": dice.choice(KINDS), "reason": key}
    if dice.random() < 0.2:
        ends = datetime.fromtimestamp(plan.started_at, UTC) + timedelta(seconds=dice.random() * plan.lasts_seconds)
        return gift | {"expires_at": ends.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    return gift | {"valid_months": dice.choice((1, 12))}


def _terms(account: str, plan: str, *, ai_enabled: bool) -> Wish:
    body = {"name": "Pet & Cia", "plan": plan, "ai_enabled": ai_enabled, "quota_anchor_day": 1}
    return Wish(ask="terms", account=account, body=body)


def _somebodys(plan: Plan, client: int, index: int, dice: Random) -> Wish:
    """A request with a key that this client or another one makes at about this time, or made earlier."""
    whose = dice.randrange(plan.clients)
    near = dice.random() < 0.7
    latest = min(index, plan.wishes_of(whose) - 1)
    which = max(0, latest - dice.randrange(NEAR)) if near else dice.randint(0, max(0, latest))
    for earlier in range(which, -1, -1):
        theirs = Random(f"{plan.seed}/{whose}/{earlier}")
        [kind] = theirs.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))
        if kind in {"debit", "grant"}:
            return _fresh(plan, whose, earlier, kind, theirs)
    return Wish(ask="balance", account=_account(plan, dice))


def _misused(first: Wish, dice: Random) -> Wish:
    """The same key for something else: another number, or a debit's key for a gift."""
    if first.body is None:
        return first
    if first.ask == "grant":
        return replace(first, body={**first.body, "credits": first.body["credits"] + 1})
    if dice.random() < 0.5:
        gift = {"credits": 1, "kind": "promotion", "reason": first.key, "valid_months": 1}
        return replace(first, ask="grant", body=gift)
    return replace(first, body={**first.body, "quantity": first.body["quantity"] + 1})
