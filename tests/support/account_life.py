"""An account's life in four stages, with their results: it buys, spends, a lot expires, and the sweep records it."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.demo import Shop
from tests.support.api import CONSUME, Answer, new_key
from tests.support.over_http import HttpApi, new_account
from tests.support.payment_page import StackStorefront

LIFETIME = timedelta(seconds=8)
BEFORE_THE_END = timedelta(seconds=1)
AFTER_THE_END = timedelta(seconds=0.5)
# The schedule fires every minute, seen by the local cloud every ten seconds.
SWEEP_SECONDS = 100
# A debit's texts, with the characters that a CSV file must quote.
DETAILS = {"description": 'Adesivo "Bóris"', "customer": "Maria, tutora do Bóris", "reference": "order-4711"}


@dataclass(frozen=True, kw_only=True)
class Bought:
    """The payment page after paying, and the balance before and after."""

    account: str
    shop: Shop
    before: Any
    page: str
    after: Any


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Responses to debits, in this order, and the balance when nothing was left."""

    by_quota: Answer
    by_both: Answer
    by_credits: Answer
    refused_key: str
    refused_service: Answer
    refused_sticker: Answer
    last: Answer
    last_repeated: Answer
    empty: Any


@dataclass(frozen=True, kw_only=True)
class Try:
    """A debit of one credit."""

    sent_at: datetime
    answer: Answer


@dataclass(frozen=True, kw_only=True)
class Expired:
    """A lot, the retry of the refused debit, and the debits from the lot's last second until after its end."""

    lot: Any
    expires_at: datetime
    refused_repeated: Answer
    tries: list[Try]
    balance: Any


def buy(api: HttpApi, storefront: StackStorefront) -> Bought:
    """A fresh account with a quota of 100 services pays for 50 credits by card, as a person does."""
    account = api.open(new_account(), plan="individual", ai_enabled=True)
    before = api.balance(account)
    shop = storefront.order(account, "credits-50")
    page = storefront.press(shop, "card")
    storefront.drain()
    return Bought(account=account, shop=shop, before=before, page=page, after=api.balance(account))


def spend(api: HttpApi, account: str) -> Spent:
    """It spends 100 services of quota and 50 credits to the last."""
    refused_key, last_key = new_key(), new_key()
    return Spent(
        by_quota=api.spend(98, "ai_service", account),
        by_both=api.spend(5, "ai_service", account),
        by_credits=api(CONSUME, account, json={"feature": "sticker", "quantity": 40, **DETAILS}),
        refused_key=refused_key,
        refused_service=api.spend(8, "ai_service", account, key=refused_key),
        refused_sticker=api.spend(8, account=account),
        last=api.spend(7, account=account, key=last_key),
        last_repeated=api.spend(7, account=account, key=last_key),
        empty=api.balance(account),
    )


def let_expire(api: HttpApi, account: str, refused_key: str) -> Expired:
    """It is given more than it can spend in time, and spends one by one until after the end."""
    # Whole milliseconds, as the ledger keeps them.
    expires_at = (datetime.now(UTC) + LIFETIME).replace(microsecond=0)
    lot = api.give(500, account, expires_at=expires_at.isoformat())
    refused_repeated = api.spend(8, "ai_service", account, key=refused_key)
    time.sleep(max(0.0, (expires_at - BEFORE_THE_END - datetime.now(UTC)).total_seconds()))
    tries: list[Try] = []
    while not tries or tries[-1].sent_at < expires_at + AFTER_THE_END:
        tries.append(Try(sent_at=datetime.now(UTC), answer=api.spend(account=account)))
    return Expired(
        lot=lot,
        expires_at=expires_at,
        refused_repeated=refused_repeated,
        tries=tries,
        balance=api.balance(account),
    )


def wait_for_sweep(api: HttpApi, account: str) -> list[Any]:
    """The account's history, newest first, once the schedule has recorded the expiry. Reads only."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while not api.history(account, type="expiry"):
        assert time.monotonic() < deadline, "the schedule's sweep recorded no expiry"
        time.sleep(1)
    return api.history(account)
