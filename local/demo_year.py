"""The demo account's past year: a pet shop that buys, spends, gets a refund and lets credits expire.

Every line is recorded by the operation that its route runs, with the clock moved to that day. Only the money is not
real: the payments are the fake Stripe's, which has no other. The year depends on today's date and on nothing else.
"""

import json
import random
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

from local.processes import LocalStackError
from prepaid.core.account import LotKind, Terms
from prepaid.core.calendar import civil, day_start, month_of, months_later
from prepaid.core.entry import Entry
from prepaid.core.ledger import Debit, Grant, apply, settle
from prepaid.core.purchase import Purchase
from prepaid.core.usage import MONTHS
from prepaid.payments.checkout_config import CheckoutConfig
from prepaid.payments.sessions import Stripe, open_stripe
from prepaid.store.accounts import Profile, read_account
from prepaid.store.catalog import first_catalog
from prepaid.store.dynamodb import Table
from prepaid.store.items import SALT_BYTES
from prepaid.store.ledger import Draft, append, commit, read_tail
from prepaid.store.purchases import PurchaseRef
from prepaid.store.secrets import Versions, versions_of
from prepaid.use_cases.administering import put_account
from prepaid.use_cases.approving import CodeSecrets, change_code, open_session
from prepaid.use_cases.buying import Order, buy
from prepaid.use_cases.reporting import read_span, statements_between
from prepaid.use_cases.syncing import RECONCILIATION, Sync, sync_with_session

ZONE = "America/Sao_Paulo"
DAYS = 372
SEED = 11
CUSTOMERS = [f"cus_{sha256(str(number).encode()).hexdigest()[:8]}" for number in range(60)]
PETS = ("Rex", "Mel", "Thor", "Luna", "Bidu", "Nina", "Pipoca", "Amora")
OPENS, CLOSES, SUNDAY = 9, 18, 6
# The shop buys when it has fewer credits than this.
FEW = 25
# Packs in the order in which the shop buys them, with the way it pays.
SHOPPING = (
    ("credits-50", "pix"),
    ("credits-100", "card"),
    ("credits-100", "boleto"),
    ("credits-100", "pix"),
    ("credits-500", "pix"),
)
AN_HOUR = timedelta(hours=1)
# DynamoDB writes at most a hundred rows together, and a debit may renew the quota and let lots expire as well.
ENTRIES_AT_ONCE = 90
ANSWER_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The account that lives the year, and everything that its operations need.

    actors: the client ids that the lines name, by client. stack: the name in the metadata of sessions at Stripe.
    """

    table: Table
    account: str
    name: str
    code: str
    pepper: str
    actors: Mapping[str, str]
    stripe_url: str
    stripe_api_key: str
    stack: str
    return_url: str


type Act = Callable[[datetime], None]
type Events = deque[tuple[datetime, Debit | Act]]


def live(shop: Shop, now: datetime) -> None:
    """Record the year before `now`."""
    shopping = iter(SHOPPING)
    events = deque(_year(shop, now))
    # The deployed service would record these payments today.
    _control(shop, "webhooks/stop")
    while events:
        at, event = events[0]
        if not isinstance(event, Debit):
            events.popleft()
            event(at)
        elif (runs_out_at := _spend(shop, events)) is not None:
            pack, method = next(shopping, SHOPPING[-1])
            _buy(shop, pack, method, runs_out_at - timedelta(minutes=5))
    _control(shop, "webhooks/start", discard=True)
    # As the page's first view would. On a slow machine it leaves the charts out instead of waiting for a whole year.
    this_month = month_of(now, ZONE)
    first = months_later(this_month, 1 - MONTHS)
    span = read_span(shop.table, shop.account)
    statements_between(shop.table, span, first, this_month, catalog=first_catalog(), now=now)


def _year(shop: Shop, now: datetime) -> Iterator[tuple[datetime, Debit | Act]]:
    """What happens in the year, in order."""
    first_day = civil(now - timedelta(days=DAYS), ZONE).date()
    special: dict[int, Act] = {
        0: partial(_open, shop, "individual"),
        118: partial(_buy_twice, shop),
        205: partial(_open, shop, "trio"),
        248: partial(_grant, shop, "adjustment", 10, "Compensação pela parada de ontem"),
        262: partial(_grant, shop, "promotion", 150, "Semana do cliente"),
        DAYS - 1: partial(_grant, shop, "promotion", 60, "Obrigado pela preferência"),
    }
    chance = random.Random(SEED)
    for day in range(DAYS + 1):
        midnight = day_start(first_day + timedelta(days=day), ZONE)
        events: list[tuple[datetime, Debit | Act]] = []
        if day in special:
            events.append((midnight + timedelta(hours=OPENS - 1), special[day]))
        if civil(midnight, ZONE).weekday() != SUNDAY:
            events += [(midnight + _opening_time(chance), debit) for debit in _sales(shop, chance, day)]
        yield from ((at, event) for at, event in sorted(events, key=lambda timed: timed[0]) if at < now - AN_HOUR)


def _opening_time(chance: random.Random) -> timedelta:
    return timedelta(hours=OPENS, seconds=chance.randrange((CLOSES - OPENS) * 3600))


def _sales(shop: Shop, chance: random.Random, day: int) -> Iterator[Debit]:
    """One day's consumptions: larger ones as the year goes on."""
    sold = partial(Debit, actor=shop.actors["service"])
    most = 4 + day // 20
    for number in range(chance.choices((0, 1, 2, 3), weights=(2, 5, 3, 1))[0]):
        customer, quantity = chance.choice(CUSTOMERS), chance.randint(1, most)
        yield sold(feature="ai_service", quantity=quantity, customer=customer, reference=f"chat-{day}-{number}")
    for _ in range(chance.choices((0, 1), weights=(5, 4))[0]):
        customer, quantity = chance.choice(CUSTOMERS), chance.randint(1, 3)
        yield sold(feature="sticker", quantity=quantity, customer=customer, description=chance.choice(PETS))


def _open(shop: Shop, plan: str, at: datetime) -> None:
    """Open the account with its code and promotional credits; later, change its plan."""
    terms = Terms(plan=plan, ai_enabled=True, quota_anchor_day=1, time_zone=ZONE)
    profile = Profile(name=shop.name, language="pt-BR", manager_contact=None)
    actor = shop.actors["admin"]
    if put_account(shop.table, shop.account, terms, profile, actor=actor, catalog=first_catalog(), now=at):
        change_code(
            shop.table, shop.account, shop.code, None, CodeSecrets(peppers=Versions(versions_of(shop.pepper))), now=at
        )
        _grant(shop, "promotion", 20, "Boas-vindas", at)


def _grant(shop: Shop, kind: LotKind, credits: int, reason: str, at: datetime) -> None:
    grant = Grant(actor=shop.actors["admin"], kind=kind, credits=credits, validity=1, description=reason)
    append(
        shop.table,
        shop.account,
        grant,
        catalog=first_catalog(),
        now=at,
        idempotency_key=f"demo-{at.isoformat()}",
        salt=_salt(at),
    )


def _spend(shop: Shop, events: Events) -> datetime | None:
    """Record the next debits, as many as fit one transaction: the emulator takes long to find a ledger's newest entry.

    Returns when the shop has too few credits for its next debit; None when it has enough.
    """
    tail = read_tail(shop.table, shop.account)
    account, entries = tail.entry.after, list[Entry]()
    runs_out_at = None
    while events and len(entries) < ENTRIES_AT_ONCE:
        at, debit = events[0]
        if not isinstance(debit, Debit):
            break
        if settle(account, catalog=first_catalog(), now=at)[0].available < FEW:
            runs_out_at = at
            break
        entries += apply(account, debit, catalog=first_catalog(), now=at)
        account = entries[-1].after
        events.popleft()
    assert commit(shop.table, Draft(tail, tuple(entries)), {}, salt=_salt(account.at))
    return runs_out_at


def _salt(at: datetime) -> bytes:
    """Of the texts written at this time. Not random: the year is the same everywhere, and its people are invented."""
    return sha256(at.isoformat().encode()).digest()[:SALT_BYTES]


def _buy_twice(shop: Shop, at: datetime) -> None:
    """The manager buys a pack twice by mistake. An hour later the second payment is refunded."""
    _buy(shop, "credits-100", "card", at)
    _buy(shop, "credits-100", "card", at + timedelta(minutes=4), refunded=True)


def _buy(shop: Shop, pack: str, method: str, at: datetime, *, refunded: bool = False) -> None:
    """Buy a pack with the manager's code and pay it a few minutes later."""
    key, codes = f"demo-{at.isoformat()}", CodeSecrets(peppers=Versions(versions_of(shop.pepper)))
    terms, _ = read_account(shop.table, shop.account)
    session = open_session(shop.table, shop.account, terms, shop.code, f"{key}-code", codes, now=at)
    order = Order(
        account=shop.account,
        pack=pack,
        idempotency_key=key,
        manager_session=session.token,
        requested_by=shop.actors["storefront"],
    )
    bought = buy(
        shop.table,
        order,
        catalog=first_catalog,
        client=lambda: _stripe_of(shop),
        checkout=CheckoutConfig(
            live=False, stack=shop.stack, payment_methods=("card", "pix", "boleto"), return_url=shop.return_url
        ),
        random_bytes=lambda count: sha256(key.encode()).digest()[:count],
        now=at,
    ).purchase
    _control(shop, f"sessions/{bought.session}/pay", method=method)
    _follow(shop, bought, at + timedelta(minutes=3))
    if refunded:
        _control(shop, f"sessions/{bought.session}/refund")
        _follow(shop, bought, at + AN_HOUR)


def _stripe_of(shop: Shop) -> Stripe:
    return open_stripe(shop.stripe_api_key, shop.stripe_url, is_late=shop.table.deadline.passed)


def _follow(shop: Shop, purchase: Purchase, at: datetime) -> None:
    """Record what happened to the purchase's payment, as its webhook would."""
    sync = Sync(
        table=shop.table,
        client=_stripe_of(shop),
        catalog=first_catalog,
        stack=shop.stack,
        now=at,
        on_quarantine=_refuse,
    )
    ref = PurchaseRef(account=purchase.account, purchase=purchase.id)
    assert purchase.session
    sync_with_session(sync, ref, purchase.session, failed=False, reason=RECONCILIATION)


def _refuse(misfit: str) -> None:
    raise LocalStackError(f"the demo's payment {misfit} doesn't match its purchase")


def _control(shop: Shop, switch: str, **params: Any) -> None:
    """POST to one of the payment provider's controls."""
    request = urllib.request.Request(
        f"{shop.stripe_url}/_control/{switch}",
        data=json.dumps(params).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
        response.read()
