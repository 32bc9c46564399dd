"""What a new local stack is furnished with, and purchases for those who have no shop."""

import json
import secrets
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stripe

from local.deploy import Deployed, client
from local.processes import LocalStackError
from prepaid.core.catalogue import Pack
from prepaid.core.purchase import Purchase
from prepaid.payments.sessions import ACCOUNT_POINTER, PURCHASE_POINTER
from prepaid.store.catalogue import first_catalogue
from prepaid.store.dynamodb import Table
from prepaid.store.purchases import record_purchase

ACCOUNT = "petshop-1"
PROFILE = {"name": "Pet Shop One", "plan": "trio", "ai_enabled": True}
PACK = "credits-100"
ANSWER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Shop:
    """A purchase that waits for its payment."""

    purchase: str
    session: str
    checkout_url: str


@dataclass(frozen=True, slots=True)
class PaymentProvider:
    """Where payments are made, and the key that may ask for them."""

    url: str
    api_key: str


def call(method: str, url: str, token: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """One request to the service, as any client would make it."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def open_account(api_url: str, admin_token: str, account: str = ACCOUNT) -> None:
    """Create the demo account over HTTP."""
    status, answer = call("PUT", f"{api_url}/v1/accounts/{account}", admin_token, PROFILE)
    if status not in {200, 201}:
        raise LocalStackError(f"creating the demo account was answered with {status}: {answer}")


def order(deployed: Deployed, provider: PaymentProvider, account: str = ACCOUNT, pack_id: str = PACK) -> Shop:
    """A purchase on record and the page where it is paid, without the manager's code a shop would ask for."""
    pack = next(pack for pack in first_catalogue().packs if pack.id == pack_id)
    purchase_id = f"pur_{secrets.token_hex(8)}"
    session = _open_session(provider, account, purchase_id, pack)
    now = datetime.now(UTC)
    purchase = Purchase(
        id=purchase_id,
        account=account,
        pack=pack.id,
        credits=pack.credits,
        amount=pack.amount,
        currency=pack.currency,
        valid_months=pack.valid_months,
        live=False,
        state="open",
        version=1,
        created_at=now.replace(microsecond=0),
        changed_at=now.replace(microsecond=0),
        session=session.id,
    )
    # Nobody has the page's address before this is written.
    record_purchase(Table(client(deployed.cloud, "dynamodb"), deployed.outputs["TableName"]), purchase)
    return Shop(purchase_id, session.id, str(session.url))


def _open_session(provider: PaymentProvider, account: str, purchase_id: str, pack: Pack) -> stripe.checkout.Session:
    shop = stripe.StripeClient(provider.api_key, base_addresses={"api": provider.url})
    return shop.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": provider.url,
            "metadata": {ACCOUNT_POINTER: account, PURCHASE_POINTER: purchase_id},
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": pack.currency,
                        "unit_amount": pack.amount,
                        "product_data": {"name": f"{pack.credits} credits"},
                    },
                }
            ],
        }
    )
