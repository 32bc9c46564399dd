"""One history as data: steps that are drawn from a seed before anything runs, so that any of them can be left out.

A step names what it is about relative to what is there when it runs ("the third account", "the last request but two"),
so that it still means something when the steps before it are gone. If there is no such thing, it does nothing.
"""

from dataclasses import replace
from random import Random
from typing import Any

from tests.simulation import hold_steps, reading_steps
from tests.simulation.step import Step, a_step

ACCOUNTS = 4
ZONES = ("America/Sao_Paulo", "UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Europe/Lisbon")
PLANS = ("none", "individual", "trio", "team", "scale")
FEATURES = ("sticker", "ai_service", "ai_service", "sticker", "photo")
PACKS = ("tiny", "small", "small", "odd", "credits-50")
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
UNITS = (1, SECOND, MINUTE, MINUTE, HOUR, HOUR, DAY, 9 * DAY, 31 * DAY, 60 * DAY)
# How far a machine's clock is off, at most: five minutes.
SKEWS = (0, 0, 0, 0, 1, -1, 1500, -1500, 60_000, -60_000, 299_000, -299_000, 300_000, -300_000)
QUANTITIES = (*[1] * 14, 2, 2, 2, 3, 3, 5, 7, 11, "all", "all", "one more", "quota")
# The faults of a call. After the first group the function retries, the second ends its process.
SURVIVED = ("lost", "silent", "error", "gateway", "throttled", "conflict", "slow")
DEADLY = ("killed_before", "killed_after")
# The database and Stripe don't respond: to any later call, or to so many calls that the deadline passes.
LASTING = {"down": 1_000_000, "outage": 6, "blip": 2}
FAULTS = (*SURVIVED, *SURVIVED, *DEADLY, *DEADLY, "down", "outage", "blip", "blip")


def draw_history(seed: int, length: int) -> list[Step]:
    """The steps of a seed, always the same."""
    drawer = Drawer(Random(seed))
    steps = drawer.opening()
    while len(steps) < length:
        steps += drawer.next()
    return steps[:length]


class Drawer:
    """Draws the next steps. Each history has rates of its own: how often calls fail, how fast time passes."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.accounts = dice.choice((1, 2, 2, 3, ACCOUNTS))
        self.fault_rate = dice.choice((0.0, 0.02, 0.06, 0.06, 0.15))
        self.rival_rate = dice.choice((0.0, 0.02, 0.05, 0.12))
        self.hurry = dice.choice((0.3, 1.0, 1.0, 3.0))
        # Months cost a sweep thousands of reads: most histories last some weeks, some last years.
        self.units = dice.choice((UNITS[:6], UNITS[:6], UNITS[:7], UNITS[:8], UNITS if self.hurry < 1 else UNITS[:9]))
        self.kinds, self.weights = zip(*WEIGHTS.items(), strict=True)
        self.cumulative: list[float] = []
        total = 0.0
        for kind, weight in WEIGHTS.items():
            total += weight * (self.hurry if kind in {"wait", "boundary"} else 1)
            self.cumulative.append(total)

    def opening(self) -> list[Step]:
        """The schedules run from a stack's first hour on, so their first runs come before everything else."""
        steps = [a_step("reconcile"), a_step("sweep"), a_step("catalog", variant=0)]
        for account in range(self.accounts):
            steps.append(self.put_account(account))
            steps.append(a_step("code", account, code=self.dice.randrange(3), admin=True))
        return steps

    def next(self) -> list[Step]:
        """What happens next: mostly one step, a few for what takes several."""
        [kind] = self.dice.choices(self.kinds, cum_weights=self.cumulative)
        steps: Step | list[Step] = getattr(self, kind)(self.dice.randrange(self.accounts))
        met = [self.troubled(step) for step in (steps if isinstance(steps, list) else [steps])]
        for place, step in reversed(list(enumerate(met))):
            # A client without a response retries, mostly at once.
            if step.kind in HEAVY and step.faults and self.dice.random() < 0.6:
                met.insert(place + 1, a_step("again", step.of, how="unanswered", back=0))
        return met

    def troubled(self, step: Step, *, nested: bool = False) -> Step:
        """The step with a machine, faults and rivals."""
        dice = self.dice
        # One roll for the three: most steps meet none of them, and drawing must cost next to nothing.
        roll = dice.random()
        if step.kind in HEAVY and self.fault_rate:
            # They are rare and make many calls.
            roll /= 4
        if step.kind in QUIET or roll >= 0.12 + self.fault_rate + self.rival_rate:
            return step
        machine, cold, faults, rivals = 0, False, step.faults, step.rivals
        if roll < self.fault_rate:
            faults = tuple(sorted((self.call(step), dice.choice(FAULTS)) for _ in range(dice.choice((1, 1, 2, 3)))))
        elif roll < self.fault_rate + self.rival_rate and not nested:
            count = dice.choice((1, 1, 1, 2, 4))
            rivals = tuple(
                sorted(((self.call(step), self.rival(step)) for _ in range(count)), key=lambda pair: pair[0])
            )
            if step.kind in {"deliver", "reconcile"} and dice.random() < 0.5:
                rivals = self.overtaken(step)
        if dice.random() < 0.5:
            machine, cold = dice.randrange(3), dice.random() < 0.2
        return Step(step.kind, step.of, step.with_, machine, cold, faults, rivals)

    def overtaken(self, step: Step) -> tuple[tuple[int, Step], ...]:
        """Between this request's fetch and its write, the payment changes again and all events about that are
        delivered."""
        call, kind = (
            self.dice.choice((-1, -1, self.call(step))),
            self.dice.choice(("refund_part", "refund_ends", "refund_ends", "dispute_ends")),
        )
        moved: Step = getattr(self, kind)(step.of)
        return (call, moved), (call, a_step("deliver", which="all", place=0, late=0))

    def call(self, step: Step) -> int:
        """The number of a call that the step's function may make."""
        return self.dice.choice(CALLS.get(step.kind, (1, 2, 2, 3, 3)))

    def rival(self, step: Step) -> Step:
        """A step that comes between two calls, mostly at the same account."""
        dice = self.dice
        kind = dice.choice(MONEY_RIVALS if step.kind in {"deliver", "reconcile"} and dice.random() < 0.8 else RIVALS)
        if kind == "same":
            return Step(step.kind, step.of, step.with_, dice.randrange(3))
        if kind == "erase" and step.kind in READS_TEXTS:
            kind = "debit"
        of = step.of if dice.random() < 0.8 else dice.randrange(self.accounts)
        drawn: Step | list[Step] = getattr(self, kind)(of)
        step_between = drawn[0 if kind == "dispute" else -1] if isinstance(drawn, list) else drawn
        if kind == "sweep":
            step_between = a_step("sweep", calls=12)
        return self.troubled(step_between, nested=True) if dice.random() < 0.3 else step_between

    # Spending and granting

    def debit(self, of: int) -> Step:
        dice = self.dice
        quantity: Any = dice.choice(QUANTITIES)
        details: dict[str, Any] = {"feature": dice.choice(FEATURES), "quantity": quantity}
        if dice.random() < 0.2:
            details["reference"] = f"ref-{dice.randrange(9)}"
        return a_step("debit", of, **details)

    def crowd(self, of: int) -> list[Step]:
        """A debit loses a race and leaves a row; before it appends, other requests of its machine carry it along.

        At times its own request is killed, and the next one may carry it.
        """
        dice, machine = self.dice, self.dice.randrange(3)
        faults = ((dice.choice((3, 4, 5, -2)), dice.choice(FAULTS)),) if self.fault_rate and dice.random() < 0.3 else ()

        def few(machine: int) -> Step:
            details = {"feature": dice.choice(FEATURES), "quantity": dice.choice((1, 1, 1, 2, 3))}
            return Step("debit", of, tuple(details.items()), machine)

        rivals = [(-1, self.grant(of) if dice.random() < 0.3 else few(0))]
        rivals += [(call, few(machine)) for call in sorted(dice.choices((4, 5, 6, -2), k=dice.choice((1, 1, 2))))]
        granted = a_step("grant", of, credits=20, lot="promotion", lasting=12)
        return [granted, replace(few(machine), faults=faults, rivals=tuple(rivals)), few(machine)]

    def grant(self, of: int) -> Step:
        dice = self.dice
        lasting: Any = dice.choice((None, 1, 2, 12, 12, "soon", "as another", "as another", "past", "day", "day"))
        kind = dice.choice(("promotion", "adjustment"))
        return a_step("grant", of, credits=dice.choice((1, 2, 3, 5, 8, 20, 20, 60)), lot=kind, lasting=lasting)

    def batch(self, of: int) -> Step:
        """Debits in one request. An item is new, a key of an earlier request, or one of the items before it."""
        dice = self.dice
        items = tuple(
            (
                dice.choice(("new", "new", "new", "new", "new", "used", "used other", "twice", "twice other", "wrong")),
                dice.choice(FEATURES),
                dice.choice(QUANTITIES),
                dice.choice((0, 0, 1, 2, 5, 20)),
            )
            for _ in range(dice.choice((1, 2, 2, 3, 3, 5, 8, 40)))
        )
        return a_step("batch", of, items=items)

    def quote(self, of: int) -> Step:
        dice = self.dice
        return a_step("quote", of, feature=dice.choice(FEATURES), quantity=dice.choice(QUANTITIES))

    def find(self, of: int) -> Step:
        """A client looks up whether a request took effect, mostly one without a response."""
        dice = self.dice
        how = dice.choice(("unanswered", "unanswered", "any", "any", "id", "id", "unknown"))
        return a_step("find", of, how=how, back=dice.choice((0, 0, 1, 2, 5, 20)))

    def void(self, of: int) -> Step:
        """Void a grant, mostly one that has credits left; or another entry."""
        dice = self.dice
        what = dice.choice((*["left"] * 9, "any", "any", "purchase", "entry", "unknown"))
        credits = dice.choice((None, None, 1, 1, 1, 2, 20))
        return a_step("void", of, what=what, back=dice.choice((0, 0, 0, 1, 2, 5)), credits=credits)

    def again(self, of: int) -> Step:
        """A client retries a request with its key, or sends another one with the key."""
        dice = self.dice
        how = dice.choice(("unanswered", "unanswered", "any", "any", "refused", "last", "other", "crossed", "stranger"))
        return a_step("again", of, how=how, back=dice.choice((0, 0, 1, 2, 5, 20)))

    # Holds and reversals

    def hold(self, of: int) -> Step | list[Step]:
        """A hold, and mostly its end, at once or later."""
        placed, then = hold_steps.hold(self, of), self.dice.choice(("capture", "capture", "release", None, None))
        return [placed, getattr(self, then)(of)] if then else placed

    def capture(self, of: int) -> Step:
        return hold_steps.capture(self, of)

    def release(self, of: int) -> Step:
        return hold_steps.release(self, of)

    def reverse(self, of: int) -> Step:
        return hold_steps.reverse(self, of)

    def hold_over(self, of: int) -> list[Step]:
        """A hold ends after the quota has renewed or the plan has changed."""
        swept = a_step("sweep", calls=None)
        then = self.dice.choice((self.capture(of), self.capture(of), self.release(of), swept))
        ends = [a_step("wait", milliseconds=DAY), then] if then.kind == "sweep" else [then]
        if self.dice.random() < 0.5:
            return [hold_steps.long_hold(self, of), self.put_account(of), *ends]
        renewal = {"what": "renewal", "function": then.kind}
        before = a_step("boundary", of, offset=-HOUR, **renewal)
        return [before, hold_steps.long_hold(self, of), a_step("boundary", of, offset=0, **renewal), *ends]

    def hold_all(self, of: int) -> list[Step]:
        """More holds than an account may have."""
        granted = a_step("grant", of, credits=400, lot="promotion", lasting=12)
        holds = [a_step("hold", of, feature="sticker", quantity=1, ttl=86_400, named=False) for _ in range(102)]
        return [granted, *holds, self.dice.choice((self.capture, self.release))(of), holds[-1]]

    def reverse_refunded(self, of: int) -> list[Step]:
        """Bought credits are spent, then their money is refunded, then the charge is reversed."""
        dice = self.dice
        bought = [self.unlock(of), a_step("buy", of, pack=dice.choice(("tiny", "small")), token=0)]
        paid = [a_step("pay", of, how="card", back=0), a_step("deliver", which="all", place=0, late=0)]
        spent = a_step("debit", of, feature="sticker", quantity="all")
        part = dice.choice((1, 1, 1, 2))
        refunded = a_step("refund", of, part=part, status="succeeded", back=0)
        quantity = dice.choice((None, None, 1, 2))
        reverse = a_step("reverse", of, what="charge", back=0, quantity=quantity)
        return [*bought, *paid, spent, refunded, a_step("deliver", which="all", place=0, late=0), reverse]

    def erase(self, of: int) -> Step:
        """Mostly of those whom debits or holds name."""
        return a_step("erase", of, whom=self.dice.choice(("=customer", "=customer", "customer", "nobody")))

    # Reading

    def balance(self, of: int) -> Step:
        return a_step("balance", of)

    def balance_at(self, of: int) -> Step:
        return a_step("balance", of, at=self.dice.choice(("entry", "before entry", "expiry", "some time ago")),
                      back=self.dice.randrange(40))  # fmt: skip

    def history(self, of: int) -> Step:
        return reading_steps.history(self, of)

    def usage(self, of: int) -> Step:
        return reading_steps.usage(self, of)

    def list_purchases(self, of: int) -> Step:
        return reading_steps.list_purchases(self, of)

    def list_accounts(self, _: int) -> Step:
        """An administrator lists all accounts, from the first page on."""
        return a_step("list_accounts", limit=self.dice.choice((1, 1, 2, 3, 100)), pages=self.dice.choice((1, 2, 5)))

    def show(self, of: int) -> Step:
        dice = self.dice
        what = dice.choice(("account", "packs", "catalog", "purchases", "purchases", "purchase", "purchase"))
        return a_step("show", of, what=what, back=dice.choice((0, 0, 1, 2)), strangers=dice.random() < 0.2)

    # Administration

    def put_account(self, of: int) -> Step:
        dice = self.dice
        return a_step(
            "put_account",
            of,
            plan=dice.choice(PLANS),
            ai=dice.random() < 0.8,
            anchor=dice.choice((1, 1, 15, 28, 29, 30, 31)),
            zone=dice.choice(ZONES) if dice.random() < 0.4 else ZONES[0],
            name=dice.randrange(3),
            contact=dice.random() < 0.7,
        )

    def patch_account(self, of: int) -> Step:
        """Mostly active again, because accepted requests test more than refused ones."""
        status = self.dice.choice(("active", "active", "active", "active", "frozen", None, None))
        threshold = self.dice.choice((0, 10, 25)) if status is None else None
        return a_step("patch_account", of, status=status, low_credit_threshold=threshold)

    def freeze(self, of: int) -> list[Step]:
        """Support freezes or closes an account, clients try it, and mostly it is active again."""
        dice = self.dice
        held = [hold_steps.long_hold(self, of)] if dice.random() < 0.4 else []
        steps = [*held, a_step("patch_account", of, status=dice.choice(("frozen", "closed")))]
        kinds = ("debit", "debit", "again", "unlock", "buy", "pay", "capture", "capture", "release", "reverse")
        for kind in dice.sample(kinds, dice.randrange(4)):
            drawn: Step | list[Step] = getattr(self, kind)(of)
            steps += drawn if isinstance(drawn, list) else [drawn]
        return steps if dice.random() < 0.03 else [*steps, a_step("patch_account", of, status="active")]

    def catalog(self, _: int) -> Step:
        return a_step("catalog", variant=self.dice.randrange(1, 6), stale=self.dice.random() < 0.15)

    def skew(self, _: int) -> Step:
        return a_step("skew", function=self.dice.randrange(7), by=self.dice.choice(SKEWS), to=self.dice.randrange(3))

    # The manager

    def code(self, of: int) -> Step:
        dice = self.dice
        return a_step("code", of, code=dice.randrange(4), admin=dice.random() < 0.4, current=dice.choice((None, 0, 1)))

    def guess(self, of: int) -> list[Step]:
        """Wrong codes, perhaps until it locks, perhaps then the right one."""
        wrong = [a_step("unlock", of, code=1) for _ in range(self.dice.choice((1, 1, 2, 5, 6)))]
        return [*wrong, a_step("unlock", of, code=None)]

    def unlock(self, of: int) -> Step:
        return a_step("unlock", of, code=None)

    # Buying

    def buy(self, of: int) -> list[Step]:
        dice = self.dice
        pack = dice.choice(PACKS)
        steps = [self.unlock(of)] if dice.random() < 0.9 else []
        steps.append(a_step("buy", of, pack=pack, token=dice.choice((0, 0, 0, 0, 0, 1, "other's", "none"))))
        if dice.random() < 0.8:
            steps.append(self.cancel(of) if dice.random() < 0.15 else self.pay(of))
            steps += [self.deliver(of) for _ in range(dice.choice((0, 1, 1, 2)))]
        return steps

    def cancel(self, of: int) -> Step:
        """A client cancels a purchase, mostly one whose page is open."""
        dice = self.dice
        what, back = dice.choice(("open", "open", "any", "unknown")), dice.choice((0, 0, 1, 3))
        step = a_step("cancel", of, what=what, back=back)
        # The event of the closed page may come before the cancellation is written.
        first = ((-1, a_step("deliver", which="all", place=0, late=0)),)
        return Step(step.kind, of, step.with_, rivals=first) if dice.random() < 0.2 else step

    def pay(self, of: int) -> Step:
        how = self.dice.choice(
            ("card", "card", "card", "pix", "boleto", "confirm", "confirm", "fail", "late", "expire")
        )
        return a_step("pay", of, how=how, back=self.dice.choice((0, 0, 0, 1, 3)))

    def deliver(self, _: int) -> Step:
        dice = self.dice
        which = dice.choice(("first", "first", "last", "any", "old"))
        return a_step(
            "deliver", which=which, place=dice.randrange(100), late=dice.choice((0, 0, 0, 0, 0, 299, 301, -301))
        )

    def lose(self, _: int) -> Step:
        return a_step("lose", place=self.dice.randrange(100))

    def refund(self, of: int) -> list[Step]:
        part, how = self.refund_part(of), self.dice.choice(("fails", "fails", "is cancelled"))
        undone = self.undone(a_step("refund_ends", of, how=how, back=0))
        return [part, undone] if self.dice.random() < 0.2 else [part]

    def undone(self, undo: Step) -> Step:
        """A change at Stripe is fetched, and undone before it is written."""
        rivals = ((-1, undo), (-1, a_step("deliver", which="all", place=0, late=0)))
        return Step("deliver", undo.of, (("which", "last"), ("place", 0), ("late", 0)), rivals=rivals)

    def refund_part(self, of: int) -> Step:
        dice = self.dice
        part = dice.choice((1, 1, 2, 3, 7))
        status = dice.choice(("succeeded", "succeeded", "pending", "requires_action"))
        return a_step("refund", of, part=part, status=status, back=dice.choice((0, 0, 1, 4)))

    def refund_ends(self, of: int) -> Step:
        how = self.dice.choice(("fails", "fails", "fails", "succeeds", "is cancelled"))
        return a_step("refund_ends", of, how=how, back=self.dice.choice((0, 0, 1)))

    def dispute(self, of: int) -> list[Step]:
        dice = self.dice
        inquiry, part, back = dice.random() < 0.15, dice.choice((1, 1, 1, 2)), dice.choice((0, 0, 1, 4))
        opened = a_step("dispute", of, part=part, inquiry=inquiry, back=back)
        won = self.undone(a_step("dispute_ends", of, how="won", back=0))
        return [opened, won] if dice.random() < 0.2 else [opened]

    def dispute_ends(self, of: int) -> Step:
        how = self.dice.choice(("won", "won", "won", "lost", "evidence"))
        return a_step("dispute_ends", of, how=how, back=self.dice.choice((0, 0, 1)))

    # What a schedule does, and time

    def sweep(self, of: int) -> Step | list[Step]:
        dice = self.dice
        if dice.random() < 0.2:
            # The sweep comes days late, and one account is so busy that it can't record anything there.
            return [a_step("wait", milliseconds=dice.randint(2, 4) * DAY), a_step("sweep", of, calls=None, busy=True)]
        return a_step("sweep", calls=dice.choice((None, None, 5, 12, 40)))

    def reconcile(self, _: int) -> Step:
        return a_step("reconcile", calls=self.dice.choice((None, None, 4, 9, 30)))

    def wait(self, _: int) -> Step:
        dice = self.dice
        return a_step("wait", milliseconds=dice.randint(1, 3) * dice.choice(self.units))

    def boundary(self, of: int) -> list[Step]:
        """Time moves to the exact instant at which a lot ends or a quota renews, by the clock of the next machine."""
        dice = self.dice
        what = dice.choice(("lot", "lot", "lot", "lot", "renewal", "renewal", "lapse", "session", "lock", "catalog"))
        then = dice.choice(("debit", "debit", "balance", "sweep", "unlock" if what == "lock" else "debit"))
        if what == "session":
            then = "buy"
        if what == "catalog":
            then = "debit"
        if what == "lapse":
            then = dice.choice(("capture", "capture", "release", "debit", "sweep"))
        steps: Step | list[Step] = getattr(self, then)(of)
        steps = steps[-1] if isinstance(steps, list) else steps
        return [a_step("boundary", of, what=what, offset=dice.choice((-1, 0, 0, 1)), function=steps.kind), steps]


WEIGHTS = {
    "debit": 560, "balance": 110, "balance_at": 22, "history": 32, "list_accounts": 8, "usage": 16,
    "list_purchases": 12, "show": 30, "again": 70,
    "batch": 24, "quote": 30, "find": 30, "grant": 60, "void": 22, "put_account": 14, "patch_account": 6, "freeze": 8,
    "catalog": 5, "skew": 8, "code": 3, "guess": 2, "unlock": 2, "buy": 11, "pay": 7, "cancel": 4, "deliver": 15,
    "lose": 2, "refund": 7, "refund_ends": 5, "dispute": 6, "dispute_ends": 6, "sweep": 4, "reconcile": 2, "wait": 40,
    "boundary": 24, "hold": 60, "capture": 24, "release": 8, "reverse": 24, "erase": 6,
    "hold_over": 5, "hold_all": 0.5, "reverse_refunded": 2, "crowd": 8,
}  # fmt: skip
# They make no call that could fail.
QUIET = frozenset({"skew", "pay", "lose", "refund_part", "refund_ends", "dispute", "dispute_ends", "wait", "boundary"})
RIVALS = (
    "debit", "debit", "debit", "debit", "hold", "capture", "reverse", "erase",
    "batch", "same", "same", "same", "grant", "void", "deliver", "deliver",
    "put_account", "patch_account", "sweep", "refund_part", "dispute", "dispute_ends", "refund_ends", "pay",
    "reconcile", "again", "catalog", "unlock", "cancel",
)  # fmt: skip
# They return texts, which an erasure in between may or may not have removed.
READS_TEXTS = frozenset({"history", "again"})
MONEY_RIVALS = (
    "same", "same", "same", "deliver", "reconcile", "refund_part", "refund_ends", "dispute", "dispute_ends", "debit",
    "pay", "cancel",
)  # fmt: skip
HEAVY = frozenset(
    {"sweep", "buy", "cancel", "unlock", "code", "deliver", "reconcile", "put_account", "patch_account", "catalog"}
)
CALLS = {
    "debit": (1, 2, 2, 2, 3),
    "batch": (1, 2, 2, 2, 3, 4, 5),
    "capture": (1, 2, 3, 3, 3, 4),
    "erase": (1, 2, 3, 4, 5, 6, 7, 8, -1),
    "reverse": (1, 2, 3, 4, 4, 4, 5),
    "balance": (1, 1, 2),
    "deliver": (1, 2, 3, 4, 5, 6, 7, 7, 8, 8, 9, 9, 10),
    "buy": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
    "cancel": (1, 2, 3, 4, 5, 6, 7, 7),
    "unlock": (1, 2, 3, 4, 5, 6),
    "sweep": (-1, -1, -1, -2, -3, 1, 2, 5, 12),
    "reconcile": (-1, -1, -2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 20),
    "put_account": (1, 2, 3, 4),
    "patch_account": (1, 2, 3, 4),
    "catalog": (1, 2),
}
