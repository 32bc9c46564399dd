"""Requests that meet each other on one account, for the search over all their interleavings."""

from dataclasses import replace
from datetime import timedelta

from prepaid.core.account import Terms
from prepaid.core.catalog import Catalog
from prepaid.core.ledger import Debit, Grant
from prepaid.store.accounts import Profile
from prepaid.store.catalog import first_catalog, write_catalog
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import append
from prepaid.use_cases.administering import put_account
from tests.crowds.explorer import ACCOUNT, START, Request, Scenario, State, prepared

CATALOG = first_catalog()
PROFILE = Profile(name="Acme", language="en", manager_contact=None)
NO_QUOTA = Terms(plan="none", ai_enabled=False, quota_anchor_day=1, time_zone="UTC")
# Renews five seconds after the start.
A_QUOTA = Terms(plan="individual", ai_enabled=True, quota_anchor_day=17, time_zone="Etc/GMT-11")
SECONDS = timedelta(seconds=1)


def credits(
    *lots: tuple[int, int | timedelta], terms: Terms = NO_QUOTA, spent: int = 0, ago: timedelta = SECONDS
) -> State:
    """An account with lots of so many credits, each for a number of months or until so long after the start."""

    def act(table: Table) -> None:
        now = START - ago
        put_account(table, ACCOUNT, terms, PROFILE, actor="admin", catalog=CATALOG, now=now)
        for number, validity in lots:
            end = validity if isinstance(validity, int) else START + validity
            grant = Grant(actor="admin", kind="promotion", credits=number, validity=end)
            append(table, ACCOUNT, grant, catalog=CATALOG, now=now)
        if spent:
            debit = Debit(actor="app", feature="ai_service", quantity=spent)
            append(table, ACCOUNT, debit, catalog=CATALOG, now=now)

    return prepared(act)


def free() -> Catalog:
    """The next version, in which nothing costs anything."""
    return replace(CATALOG, version=2, features=tuple(replace(feature, price=0) for feature in CATALOG.features))


def with_free_version(table: State) -> State:
    return {**table, **prepared(lambda database: write_catalog(database, free(), START))}


ONE, TWO, PLENTY = credits((1, 12)), credits((2, 12)), credits((9, 12))
# Requests that know of a race leave a row at once.
A, B = (Request(key, crowded=True, now=0.001 * place) for place, key in enumerate("ab", 1))
# One that doesn't, and takes what it finds.
FIRST = Request("d", now=0.004)
# Two debits: the second one's key is "c".
BATCH = Request("b", more=(("c", 1),), now=0.003)
GRANT = Request("", quantity=-3, now=0.005)
ENDS_SOON = 5 * SECONDS
LATER = 6.0

SCENARIOS = (
    Scenario("two that don't know of each other", ONE, (replace(A, crowded=False), FIRST)),
    Scenario("two that do", PLENTY, (A, B)),
    Scenario("two of which one is refused", ONE, (A, B)),
    Scenario("three", PLENTY, (A, B, replace(FIRST, quantity=2))),
    Scenario("three on two credits", TWO, (A, B, FIRST)),
    Scenario("refused, then credits arrive", ONE, (A, FIRST, replace(GRANT, after=0), B)),
    Scenario(
        "a row arrives late, after its refusal", ONE, (A, FIRST, replace(GRANT, after=0), replace(B, after=2)), lost=1
    ),
    Scenario(
        "credits arrive before its tombstone, and another carries it",
        ONE,
        (A, FIRST, replace(GRANT, after=1), replace(B, after=2)),
    ),
    Scenario("refused while credits arrive", ONE, (A, FIRST, GRANT)),
    Scenario("one key twice at once", PLENTY, (A, replace(A, now=0.006), B)),
    Scenario("one key twice in turn", PLENTY, (A, B, replace(A, now=0.006, after=0))),
    Scenario("one key for two requests", TWO, (A, replace(A, quantity=2, now=0.006), FIRST)),
    Scenario("a lot that ends between their times", credits((2, ENDS_SOON)), (A, replace(B, now=LATER), FIRST)),
    Scenario(
        "a lot that ended for the one that waits",
        credits((3, ENDS_SOON), (1, 12)),
        (replace(A, now=LATER), replace(B, now=0.0), replace(FIRST, now=LATER)),
    ),
    Scenario(
        "a quota that renews between their times",
        credits((1, 12), terms=A_QUOTA, spent=100),
        (
            replace(A, feature="ai_service"),
            replace(B, feature="ai_service", now=LATER),
            replace(FIRST, feature="sticker"),
        ),
    ),
    Scenario(
        "two versions of the catalog",
        with_free_version(TWO),
        (replace(A, quantity=2), replace(B, catalog=free()), FIRST),
    ),
    Scenario("one may be killed, and time passes", PLENTY, (A, B), seconds=11.0),
    Scenario("they give up", PLENTY, (replace(A, impatient=True), B, FIRST)),
    Scenario("rows are removed", PLENTY, (A, B), removed=2),
    Scenario("rows are removed beside a refusal", ONE, (A, B), removed=2),
    Scenario("rows are removed, and credits arrive", ONE, (A, FIRST, replace(GRANT, after=0)), removed=1),
    Scenario(
        "a row is removed, and arrives late after its refusal",
        ONE,
        (A, FIRST, replace(GRANT, after=0), replace(B, after=2)),
        lost=1,
        removed=1,
    ),
    Scenario("a batch and a debit", PLENTY, (BATCH, A)),
    Scenario("a batch of which one is refused, and a debit", TWO, (BATCH, A)),
    Scenario("a batch and a debit with one of its keys", PLENTY, (BATCH, replace(A, key="c"))),
    Scenario("two batches with a key in common", PLENTY, (BATCH, replace(BATCH, key="e", more=(("c", 1),)))),
    Scenario("a batch and two debits", TWO, (BATCH, A, FIRST)),
    Scenario("a batch whose answer is lost", TWO, (BATCH, A), lost=1),
    Scenario("a write is in conflict", ONE, (A, B), conflicts=1),
    Scenario("two writes are in conflict", PLENTY, (A, B), conflicts=2),
    Scenario("a batch in conflict", TWO, (BATCH, A), conflicts=1),
    Scenario("a write is in conflict beside credits", ONE, (A, FIRST, GRANT), conflicts=1),
    Scenario(
        "one is killed, its retry is refused, and time passes", ONE, (A, replace(A, now=0.006), FIRST), seconds=11.0
    ),
    Scenario("an answer is lost", ONE, (A, B), lost=1),
    Scenario("two answers are lost", PLENTY, (A, replace(FIRST, key="b")), lost=2),
    Scenario("an answer is lost, and credits arrive", ONE, (A, FIRST, replace(GRANT, after=0)), lost=1),
)
# With one more lost answer. Three requests, or rows that are removed too, would take hours.
DEEPER = tuple(
    replace(each, name=f"{each.name}, and one more answer is lost", lost=each.lost + 1)
    for each in SCENARIOS
    if len(each.requests) == 2 and not each.removed and each.lost < 2
)
