"""A purchase is recorded, then its payment page is made; a key and a manager's session make one purchase."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.support.api import (
    BUY,
    CONSUME,
    GET_CATALOG,
    HISTORY,
    PATCH_ACCOUNT,
    PURCHASE,
    PURCHASES,
    PUT_CATALOG,
    Answer,
)
from tests.support.functions import STACK
from tests.support.gateway_events import ADMIN, BUYER
from tests.support.handlers import Clock, Output
from tests.support.in_process import Service
from tests.support.interruptions import killed_before
from tests.support.store_driver import StoreDriver, a_purchase, a_session, types
from tests.support.stripe_line import Call, stripe_tapped
from tests.support.stripe_purchases import Storefront, at_stripe, bought

MILLISECOND = timedelta(milliseconds=1)

HOUR = timedelta(hours=1)

PAGE = "https://shop.example.com/credits"


@pytest.fixture
def sent() -> Iterator[list[dict[str, str]]]:
    """Every form that Stripe was sent, with its Idempotency-Key."""
    forms: list[dict[str, str]] = []

    def meet(call: Call) -> None:
        if call.method == "POST":
            forms.append({**call.params, "key": call.key})

    with stripe_tapped(meet):
        yield forms


def refused(service: Service, answer: Answer) -> bool:
    assert (answer.status, answer.code) == (403, "manager_session_invalid"), answer
    assert service(PURCHASES).body["purchases"] == []
    return True


# The requests to Stripe


def test_a_purchase_returns_its_record_and_its_page(storefront: Storefront, service: Service) -> None:
    answer = service.buy()
    record = bought(storefront, answer, replayed=False)
    assert answer.body == {
        "id": record.id,
        "state": "open",
        "checkout_url": f"{storefront.fake.url}/pay/{record.session}",
        "voucher": None,
        "pack": "credits-100",
        "credits": 100,
        "amount": 4990,
        "currency": "brl",
        "valid_months": 12,
        "lot": None,
        "expires_at": None,
        "refunded_amount": 0,
        "disputed_amount": 0,
        "revoked_credits": 0,
        "created_at": "2026-06-16T13:00:00.000Z",
    }
    assert service(PURCHASE, id=record.id).body == answer.body
    assert types(service.stored()) == ["plan_change"]


def test_stripe_gets_every_value_of_the_purchase(
    storefront: Storefront, service: Service, sent: list[dict[str, str]]
) -> None:
    purchase = storefront.buy()
    customer, session = sent
    assert customer == {"name": "Pet & Cia", "metadata[prepaid_account]": "acme", "key": customer["key"]}
    assert session == {
        "mode": "payment",
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "brl",
        "line_items[0][price_data][unit_amount]": "4990",
        "line_items[0][price_data][product_data][name]": "100 créditos",
        "allowed_payment_method_types[0]": "card",
        "allowed_payment_method_types[1]": "pix",
        "allowed_payment_method_types[2]": "boleto",
        "payment_method_options[pix][expires_after_seconds]": "86400",
        "payment_method_options[boleto][expires_after_days]": "3",
        # Nothing on the page may change what is paid: no adjustable_quantity either.
        "allow_promotion_codes": "false",
        "adaptive_pricing[enabled]": "false",
        "client_reference_id": purchase.id,
        "metadata[prepaid_account]": "acme",
        "metadata[prepaid_purchase]": purchase.id,
        "metadata[prepaid_stack]": STACK,
        "payment_intent_data[metadata][prepaid_account]": "acme",
        "payment_intent_data[metadata][prepaid_purchase]": purchase.id,
        "payment_intent_data[metadata][prepaid_stack]": STACK,
        "customer": session["customer"],
        "locale": "pt-BR",
        "success_url": f"{PAGE}?purchase={purchase.id}&result=completed",
        "cancel_url": f"{PAGE}?purchase={purchase.id}&result=cancelled",
        "key": f"checkout-{purchase.id}-{session['customer']}",
    }


@pytest.mark.parametrize(("language", "words"), [("pt-BR", "créditos"), ("en", "credits"), ("es", "créditos")])
def test_the_page_is_in_the_accounts_language(
    storefront: Storefront, service: Service, sent: list[dict[str, str]], language: str, words: str
) -> None:
    service(PATCH_ACCOUNT, json={"language": language})
    storefront.buy("credits-50")
    assert sent[-1]["locale"] == language
    assert sent[-1]["line_items[0][price_data][product_data][name]"] == f"50 {words}"


def test_a_return_address_keeps_its_query(storefront: Storefront, service: Service, sent: list[dict[str, str]]) -> None:
    checkout = service.functions.deps["checkout"].checkout
    assert checkout is not None
    service.functions.change(
        "checkout", checkout=replace(checkout, return_url="https://shop.example.com/?page=credits")
    )
    purchase = storefront.buy()
    assert sent[-1]["success_url"] == f"https://shop.example.com/?page=credits&purchase={purchase.id}&result=completed"


def test_pix_and_boleto_are_offered_for_reais_only(
    storefront: Storefront, service: Service, sent: list[dict[str, str]]
) -> None:
    catalog = service(GET_CATALOG).body
    version = catalog.pop("version")
    catalog["packs"].append(
        {"id": "usd", "credits": 10, "amount": 100, "currency": "usd", "valid_months": 1, "active": True}
    )
    assert service(PUT_CATALOG, json=catalog, headers={"if-match": str(version)}).status == 200
    service(PATCH_ACCOUNT, json={"currency": "usd"})
    purchase = storefront.buy("usd")
    assert purchase.currency == "usd"
    methods = {name: value for name, value in sent[-1].items() if "payment_method" in name}
    assert methods == {"allowed_payment_method_types[0]": "card"}
    storefront.deliver_all(storefront.pay(purchase))
    assert storefront.purchase(purchase).state == "granted"


def test_an_account_keeps_its_stripe_customer(storefront: Storefront, service: Service) -> None:
    first = storefront.buy()
    service(PATCH_ACCOUNT, json={"name": "Another name"})
    second = storefront.buy()
    service.open("zoo")
    service.set_code(account="zoo")
    third = storefront.buy(account="zoo")
    customers = [storefront.session(purchase.session or "")["customer"] for purchase in (first, second, third)]
    assert customers[0] == customers[1] != customers[2]
    assert len(at_stripe(storefront, "customer")) == 2


def test_a_customer_deleted_at_stripe_is_replaced(storefront: Storefront, service: Service) -> None:
    """Deleted by hand, or created in test mode before the stack went live."""
    storefront.buy()
    with storefront.fake.state.lock:
        storefront.fake.state.tables["customer"].clear()
    assert service.buy(may_fail=True).status == 201


# The key


def test_a_retry_gets_the_original_response_after_any_change(
    storefront: Storefront, service: Service, clock: Clock
) -> None:
    answer = service.buy(key="k")
    purchase = storefront.read(answer.body["id"], "acme")

    def same() -> None:
        again = service.buy(key="k", session="")
        assert (again.status, again.text, again.headers["idempotent-replayed"]) == (201, answer.text, "true")

    same()
    storefront.deliver_all(storefront.pay(purchase))
    same()
    storefront.deliver_all(storefront.refund(purchase, 1000))
    same()
    catalog = service(GET_CATALOG).body
    for pack in catalog["packs"]:
        pack["active"] = False
    body = {name: value for name, value in catalog.items() if name != "version"}
    assert service(PUT_CATALOG, json=body, headers={"if-match": "1"}).status == 200
    same()
    service.set_code("830164")
    clock.now += 48 * HOUR
    same()
    assert len(at_stripe(storefront, "checkout.session")) == 1


def test_a_key_used_for_another_request_is_rejected(storefront: Storefront, service: Service) -> None:
    service.give(5)
    assert service.buy(key="bought").status == 201
    assert service.spend(key="spent").status == 201
    session = service.manager_session()
    answers = [
        service.buy("credits-50", key="bought", session=session),
        service.buy("no-such-pack", key="bought", session=""),
        service.buy(key="spent", session=session),
        service.spend(key="bought"),
    ]
    assert [(answer.status, answer.code) for answer in answers] == [(409, "idempotency_key_reused")] * 4
    # None of them spent the session.
    assert service.buy(session=session).status == 201


def test_a_key_belongs_to_its_account(storefront: Storefront, service: Service) -> None:
    service.open("zoo")
    service.set_code(account="zoo")
    first, second = service.buy(key="k"), service.buy(account="zoo", key="k")
    assert (first.status, second.status) == (201, 201)
    assert first.body["id"] != second.body["id"]


# The session


def test_an_invalid_manager_session_is_rejected(storefront: Storefront, service: Service, clock: Clock) -> None:
    service.open("zoo")
    service.set_code(account="zoo")
    theirs, ended = service.manager_session("zoo"), service.manager_session()
    service.set_code("830164")
    late = service.manager_session(code="830164")
    answers = [
        service(BUY, json={"pack": "credits-100"}, by=BUYER),
        *(service.buy(session=token) for token in ("", " ", "x", "é", late[:-1], late + "A", late.lower(), "a" * 5000)),
        service.buy(session=theirs),
        service.buy(session=ended),
    ]
    clock.now += timedelta(minutes=10)
    answers.append(service.buy(session=late))
    assert all(refused(service, answer) for answer in answers)
    # The responses don't say why.
    assert len({answer.text for answer in answers}) == 1
    clock.now -= MILLISECOND
    assert service.buy(session=late).status == 201


def test_a_used_manager_session_is_rejected(storefront: Storefront, service: Service) -> None:
    session = service.manager_session()
    assert service.buy(session=session).status == 201
    answer = service.buy(session=session)
    assert (answer.status, answer.code) == (403, "manager_session_invalid")


@pytest.mark.parametrize("pack", ["credits-99", "retired", "credits-100-"])
def test_a_pack_that_is_not_on_sale_uses_up_no_session(storefront: Storefront, service: Service, pack: str) -> None:
    catalog = service(GET_CATALOG).body
    catalog.pop("version")
    catalog["packs"].append(
        {"id": "retired", "credits": 10, "amount": 1000, "currency": "brl", "valid_months": 1, "active": False}
    )
    assert service(PUT_CATALOG, json=catalog, headers={"if-match": "1"}).status == 200
    session = service.manager_session()
    before = service.stored()
    answer = service.buy(pack, session=session)
    assert (answer.status, answer.fields) == (422, ["pack"])
    assert service.stored() == before
    assert service.buy(session=session).status == 201


def test_a_price_change_does_not_affect_open_purchases(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    catalog = service(GET_CATALOG).body
    catalog.pop("version")
    catalog["packs"][1] |= {"credits": 80, "amount": 4500, "valid_months": 1}
    assert service(PUT_CATALOG, json=catalog, headers={"if-match": "1"}).status == 200
    storefront.deliver_all(storefront.pay(purchase))
    [lot] = service.balance()["credits"]["lots"]
    assert (lot["granted"], lot["expires_at"]) == (100, "2027-06-17T03:00:00.000Z")
    assert storefront.buy().credits == 80


def test_a_live_stack_quarantines_test_payments(storefront: Storefront, service: Service, output: Output) -> None:
    checkout = service.functions.deps["checkout"].checkout
    assert checkout is not None
    service.functions.change("checkout", checkout=replace(checkout, live=True))
    purchase = storefront.buy()
    assert purchase.live
    storefront.deliver_all(storefront.pay(purchase))
    assert types(service.stored()) == ["plan_change"]
    assert output.metric("PurchaseQuarantined") == [1]


# Reading


def record(service: Service, numbers: Iterable[int], account: str = "acme") -> list[str]:
    """Purchases in the table only, which is all that a list reads. Returns their ids."""
    driver = StoreDriver(service.table)
    driver.has_manager(account)
    ids = [f"pur_{number:020x}" for number in numbers]
    for purchase_id in ids:
        driver.record(a_purchase(purchase_id, account), session=a_session(purchase_id, account))
    return ids


def test_purchases_are_listed_newest_first_in_pages(service: Service) -> None:
    service.open()
    service.open("zoo")
    ids = record(service, range(101))
    record(service, [200], "zoo")
    pages: list[list[str]] = []
    cursor: dict[str, str] = {}
    while True:
        body = service(PURCHASES, query=cursor).body
        pages.append([purchase["id"] for purchase in body["purchases"]])
        if body["next_cursor"] is None:
            break
        cursor = {"cursor": body["next_cursor"]}
    assert [len(page) for page in pages] == [50, 50, 1]
    assert [purchase for page in pages for purchase in page] == ids[::-1]


def test_a_full_last_page_of_purchases_has_no_cursor(service: Service) -> None:
    service.open()
    listed: dict[int, list[int]] = {}

    for before, count in pairwise([0, 49, 50, 51, 100]):
        record(service, range(before, count))
        bodies = [service(PURCHASES).body]
        while bodies[-1]["next_cursor"] is not None:
            bodies.append(service(PURCHASES, query={"cursor": bodies[-1]["next_cursor"]}).body)
        listed[count] = [len(body["purchases"]) for body in bodies]

    assert listed == {49: [49], 50: [50], 51: [50, 1], 100: [50, 50]}


@pytest.mark.parametrize(
    "cursor", ["", "x", "pur_" + "0" * 20, "pur_" + "0" * 20 + "." + "0" * 64, "pur_" + "０" * 20, "ENTRY#", "\x00"]
)
def test_an_unsigned_cursor_of_purchases_is_rejected(storefront: Storefront, service: Service, cursor: str) -> None:
    answer = service(PURCHASES, query={"cursor": cursor})
    assert (answer.status, answer.code) == (400, "invalid_cursor")


def test_a_purchase_cursor_works_for_its_list_and_account_only(service: Service) -> None:
    service.open()
    service.open("zoo")
    record(service, range(51))
    service.give(1)
    purchases, history = (service(PURCHASES).body, service(HISTORY, query={"limit": "1"}).body)

    refused = [
        service(PURCHASES, "zoo", query={"cursor": purchases["next_cursor"]}),
        service(PURCHASES, query={"cursor": history["next_cursor"]}),
        service(HISTORY, query={"cursor": purchases["next_cursor"]}),
    ]

    assert [(answer.status, answer.code) for answer in refused] == [(400, "invalid_cursor")] * 3
    assert service(PURCHASES, query={"cursor": purchases["next_cursor"]}).status == 200


@pytest.mark.parametrize(
    "purchase", ["pur_" + "0" * 20, "pur_1", "", "x" * 3000, "../PROFILE", "pur_" + "０" * 20, "\ud800"], ids=ascii
)
def test_an_unknown_purchase_is_not_found(storefront: Storefront, service: Service, purchase: str) -> None:
    answer = service(PURCHASE, id=purchase)
    assert (answer.status, answer.code) == (404, "purchase_not_found")
    assert service(PURCHASE, "nobody", id=purchase).code == "account_not_found"


def test_another_account_does_not_see_a_purchase(storefront: Storefront, service: Service) -> None:
    service.open("zoo")
    purchase = storefront.buy()
    assert service(PURCHASE, "zoo", id=purchase.id).code == "purchase_not_found"
    assert service(PURCHASES, "zoo").body == {"purchases": [], "next_cursor": None}


def test_a_granted_purchase_shows_its_lot_and_expiry(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    shown = service(PURCHASE, id=purchase.id).body
    assert (shown["state"], shown["lot"], shown["expires_at"]) == (
        "granted",
        "lot_000000000002",
        "2027-06-17T03:00:00.000Z",
    )
    [entry] = [entry for entry in service(HISTORY).body["entries"] if entry["purchase"]]
    assert (entry["purchase"], entry["lot"]) == (purchase.id, shown["lot"])


def test_purchase_ids_sort_by_time(storefront: Storefront, service: Service, clock: Clock) -> None:
    first = storefront.buy().id
    clock.now += MILLISECOND
    second = storefront.buy().id
    assert first < second
    assert [purchase["id"] for purchase in service(PURCHASES).body["purchases"]] == [second, first]


def test_an_administrator_needs_a_manager_session_to_buy(storefront: Storefront, service: Service) -> None:
    answer = service(BUY, json={"pack": "credits-100"}, by=ADMIN)
    assert refused(service, answer)
    assert service(CONSUME, json={"feature": "sticker"}).status == 402


# Sequences of events at Stripe before the payment, each with the state after it
PIX: tuple[Any, ...] = ("confirm", "pix")

SEQUENCES: dict[str, list[tuple[tuple[Any, ...], str]]] = {
    "card": [(("pay", "card"), "granted")],
    "declined, then another card": [(("pay", "card", "4000000000000002"), "open"), (("pay", "card"), "granted")],
    "pix": [(PIX, "pending"), (("pay",), "granted")],
    "boleto": [(("confirm", "boleto"), "pending"), (("pay",), "granted")],
    "pix that expires": [(PIX, "pending"), (("fail",), "failed")],
    "pix that expires and is paid": [(PIX, "pending"), (("fail",), "failed"), (("pay_after_expiry",), "granted")],
    "nobody pays": [(("expire",), "expired")],
    "expired, then paid by card": [(("expire",), "expired"), (("pay_after_expiry", "card"), "granted")],
    "expired, then paid by pix": [(("expire",), "expired"), (("pay_after_expiry", "pix"), "granted")],
}


@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
@pytest.mark.parametrize("page_was_kept", [True, False], ids=["open", "created"])
def test_every_sequence_of_payment_events_ends_in_its_state(
    storefront: Storefront, service: Service, sequence: Any, page_was_kept: bool
) -> None:
    if page_was_kept:
        purchase = storefront.buy()
    else:
        with killed_before(service.table.client, "PutItem PURCHASE#"):
            service.buy(key="k")
        [session] = at_stripe(storefront, "checkout.session")
        purchase = replace(storefront.read(session["client_reference_id"], "acme"), session=session["id"])
    delivered: list[Any] = []
    for happens, state in sequence:
        delivered += storefront.happen(purchase, *happens)
        # Each event again, twice: it changes nothing any more.
        storefront.deliver_all([*delivered, *delivered])
        kept = state if page_was_kept or state != "open" else "created"
        assert storefront.purchase(purchase).state == kept
        assert service.balance()["credits"]["available"] == (100 if state == "granted" else 0)
    if not page_was_kept:
        assert service.buy(key="k", session="").status == 201
        assert storefront.purchase(purchase).state == sequence[-1][1]


def test_a_voucher_stays_payable_after_its_page_expires(storefront: Storefront, service: Service) -> None:
    """Its page reads expired, then complete and unpaid: the customer has a code to pay."""
    purchase = storefront.buy()
    [event] = storefront.happen(purchase, *PIX)
    for status, kind, state in (
        ("expired", "expired", "expired"),
        ("complete", "completed", "pending"),
        ("expired", "expired", "pending"),
        ("complete", "async_payment_failed", "failed"),
        ("complete", "completed", "failed"),
    ):
        storefront.session(purchase.session or "")["status"] = status
        storefront.deliver(event | {"id": f"evt_{kind}", "type": f"checkout.session.{kind}"})
        assert storefront.purchase(purchase).state == state
