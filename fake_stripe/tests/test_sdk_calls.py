"""The official SDK creates, reads and lists objects at the running fake, and gets its errors."""

import pytest
import stripe

from fake_stripe.tests.support import Clock, Controls, Shop


def test_a_session_has_the_requested_values(shop: Shop) -> None:
    session = shop.session(
        metadata={"purchase": "pur_1", "pack": "p100"},
        locale="pt-BR",
        adaptive_pricing={"enabled": False},
        payment_method_options={"boleto": {"expires_after_days": 5}, "pix": {"expires_after_seconds": 600}},
        allowed_payment_method_types=["card", "pix", "boleto"],
    )

    assert session.id.startswith("cs_test_")
    assert (session.status, session.payment_status, session.mode) == ("open", "unpaid", "payment")
    assert (session.amount_total, session.currency, session.livemode) == (12_990, "brl", False)
    assert session.payment_method_types == ["card", "pix", "boleto"]
    assert session.payment_intent is None
    assert session.metadata is not None
    assert session.metadata.to_dict() == {"purchase": "pur_1", "pack": "p100"}
    assert session.url is not None
    assert session.url.endswith(f"/pay/{session.id}")
    assert session.payment_method_options is not None
    assert session.payment_method_options.boleto is not None
    assert session.payment_method_options.boleto.expires_after_days == 5
    assert session.expires_at - session.created == 86_400


def test_line_items_are_included_only_on_request(shop: Shop) -> None:
    session = shop.session()

    plain = shop.again(session)
    whole = shop.again(session, "line_items")
    listed = shop.client.v1.checkout.sessions.line_items.list(session.id)

    assert getattr(plain, "line_items", None) is None
    assert whole.line_items is not None
    [item] = whole.line_items.data
    assert item.price is not None
    assert (item.quantity, item.amount_total, item.price.unit_amount) == (1, 12_990, 12_990)
    assert [found.id for found in listed.data] == [item.id]


def test_a_stored_price_can_be_sold(shop: Shop) -> None:
    product = shop.client.v1.products.create(params={"name": "500 créditos"})
    price = shop.client.v1.prices.create(params={"currency": "brl", "unit_amount": 49_900, "product": product.id})

    session = shop.session(line_items=[{"price": price.id, "quantity": 2}])

    assert session.amount_total == 99_800
    whole = shop.again(session, "line_items")
    assert whole.line_items is not None
    assert whole.line_items.data[0].description == "500 créditos"


def test_a_customer_is_created_updated_and_used_in_a_session(shop: Shop) -> None:
    customer = shop.client.v1.customers.create(params={"name": "Pet Shop", "metadata": {"account": "a1", "x": "y"}})
    shop.client.v1.customers.update(customer.id, params={"email": "a@example.com", "metadata": {"x": ""}})

    found = shop.client.v1.customers.retrieve(customer.id)
    session = shop.session(customer=customer.id)

    assert found.email == "a@example.com"
    assert found.metadata is not None
    assert found.metadata.to_dict() == {"account": "a1"}
    assert session.customer == customer.id
    expanded = shop.again(session, "customer").customer
    assert isinstance(expanded, stripe.Customer)
    assert expanded.name == "Pet Shop"


def test_the_whole_payment_can_be_expanded_at_once(shop: Shop, controls: Controls) -> None:
    session = shop.session(payment_intent_data={"metadata": {"purchase": "pur_1"}})
    controls.post(f"sessions/{session.id}/pay")

    intent = shop.again(session, "payment_intent.latest_charge.balance_transaction").payment_intent

    assert isinstance(intent, stripe.PaymentIntent)
    assert intent.metadata.to_dict() == {"purchase": "pur_1"}
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    assert charge.balance_transaction.net == 12_990


def test_lists_are_paged_newest_first_without_gaps(shop: Shop) -> None:
    ids = [shop.session().id for _ in range(7)]

    first = shop.client.v1.checkout.sessions.list(params={"limit": 3})
    everything = [found.id for found in first.auto_paging_iter()]

    assert first.has_more
    assert everything == ids[::-1]


def test_a_list_can_be_read_backwards(shop: Shop) -> None:
    ids = [shop.session().id for _ in range(5)]

    page = shop.client.v1.checkout.sessions.list(params={"limit": 2, "ending_before": ids[0]})

    assert [found.id for found in page.data] == [ids[2], ids[1]]
    assert page.has_more


def test_sessions_are_found_by_time_state_and_payment(shop: Shop, controls: Controls, clock: Clock) -> None:
    old = shop.session()
    clock.at += 1000
    paid, open_one = shop.session(), shop.session()
    controls.post(f"sessions/{paid.id}/pay")
    sessions = shop.client.v1.checkout.sessions
    intent = str(shop.again(paid).payment_intent)

    recent = sessions.list(params={"created": {"gte": old.created + 1}})
    complete = sessions.list(params={"status": "complete"})
    of_intent = sessions.list(params={"payment_intent": intent})

    assert [found.id for found in recent.data] == [open_one.id, paid.id]
    assert [found.id for found in complete.data] == [paid.id]
    assert [found.id for found in of_intent.data] == [paid.id]


def test_events_are_found_by_type_and_time(shop: Shop, controls: Controls, clock: Clock) -> None:
    for _ in range(2):
        controls.post(f"sessions/{shop.session().id}/pay")
        clock.at += 100
    events = shop.client.v1.events

    chosen = events.list(params={"types": ["checkout.session.completed", "charge.succeeded"]})
    late = events.list(params={"type": "charge.succeeded", "created": {"gte": int(clock.at) - 100}})

    assert [event.type for event in chosen.data] == ["checkout.session.completed", "charge.succeeded"] * 2
    assert len(late.data) == 1
    assert events.retrieve(late.data[0].id).data.object["object"] == "charge"


def test_an_event_keeps_the_objects_state_at_its_time(shop: Shop, controls: Controls) -> None:
    session = shop.session()
    controls.post(f"sessions/{session.id}/confirm", method="pix")
    controls.post(f"sessions/{session.id}/pay")

    completed, arrived = shop.events("checkout.session.completed", "checkout.session.async_payment_succeeded")

    assert completed.data.object["payment_status"] == "unpaid"
    assert arrived.data.object["payment_status"] == "paid"


def test_an_event_names_the_request_that_caused_it(shop: Shop) -> None:
    shop.client.v1.customers.create(params={"name": "A"}, options={"idempotency_key": "customer-1"})

    [event] = shop.events("customer.created")

    assert event.request is not None
    assert event.request.idempotency_key == "customer-1"
    assert str(event.request.id).startswith("req_")


def test_every_response_has_a_request_id(shop: Shop) -> None:
    session = shop.session()

    assert session.last_response is not None
    assert str(session.last_response.request_id).startswith("req_")


def test_a_parameter_that_the_api_version_removed_is_rejected(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.session(payment_method_types=["card", "pix"])

    assert refusal.value.code == "payment_method_types_no_longer_supported"


def test_an_older_version_accepts_payment_method_types(shop: Shop) -> None:
    params = {
        "mode": "payment",
        "line_items": [
            {"price_data": {"currency": "brl", "unit_amount": 900, "product_data": {"name": "x"}}, "quantity": 1}
        ],
        "success_url": "https://shop.example/",
        "payment_method_types": ["boleto"],
    }
    session = shop.client.v1.checkout.sessions.create(
        params=params,  # type: ignore[arg-type]
        options={"stripe_version": "2026-08-26.dahlia"},
    )

    assert session.payment_method_types == ["boleto"]


@pytest.mark.parametrize(
    ("currency", "amount", "offered"),
    [
        ("brl", 500, ["card", "pix", "boleto"]),
        ("brl", 499, ["card", "pix"]),
        ("usd", 500, ["card"]),
    ],
)
def test_only_methods_that_fit_the_amount_are_offered(
    shop: Shop, currency: str, amount: int, offered: list[str]
) -> None:
    item = {"price_data": {"currency": currency, "unit_amount": amount, "product_data": {"name": "x"}}, "quantity": 1}

    session = shop.session(line_items=[item], allowed_payment_method_types=["card", "pix", "boleto"])

    assert session.payment_method_types == offered


@pytest.mark.parametrize(
    ("params", "param", "code"),
    [
        ({"mode": "subscription"}, "mode", None),
        ({"success_url": "javascript:alert(1)"}, "success_url", "url_invalid"),
        ({"cancel_url": "https://"}, "cancel_url", "url_invalid"),
        ({"line_items": []}, "line_items", "parameter_missing"),
        ({"line_items": [{"price": "price_none", "quantity": 1}]}, "line_items[0][price]", "resource_missing"),
        ({"customer": "cus_none"}, "customer", "resource_missing"),
        ({"expires_at": 1_800_000_000 + 60}, "expires_at", None),
        ({"expires_at": 1_800_000_000 + 90_000}, "expires_at", None),
        ({"locale": "tlh"}, "locale", None),
        ({"nonsense": "1"}, "nonsense", "parameter_unknown"),
        ({"discounts": [{"coupon": "x"}]}, "discounts", None),
        ({"metadata": {"k": "v" * 501}}, "metadata[k]", "parameter_invalid_string"),
        ({"expand": ["nonsense"]}, "expand", None),
    ],
)
def test_an_error_names_the_invalid_parameter(
    shop: Shop, params: dict[str, object], param: str, code: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.session(**params)

    assert (refusal.value.param, refusal.value.code) == (param, code)
    assert not shop.client.v1.checkout.sessions.list().data


def test_an_unsupported_feature_may_be_switched_off(shop: Shop) -> None:
    session = shop.session(automatic_tax={"enabled": False}, invoice_creation={"enabled": False})

    assert session.automatic_tax.enabled is False
    with pytest.raises(stripe.InvalidRequestError, match="does not support automatic_tax"):
        shop.session(automatic_tax={"enabled": True})


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "true", "٣", "1" + "0" * 30])
def test_a_quantity_must_be_a_plain_positive_number(shop: Shop, quantity: str) -> None:
    item = {
        "price_data": {"currency": "brl", "unit_amount": 900, "product_data": {"name": "x"}},
        "quantity": quantity,
    }

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.session(line_items=[item])

    assert refusal.value.param == "line_items[0][quantity]"


def test_an_unknown_id_gets_a_404_that_names_it(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.client.v1.checkout.sessions.retrieve("cs_test_nobody")

    assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")
    assert "cs_test_nobody" in str(refusal.value)


def test_a_page_of_a_list_has_at_most_a_hundred_entries(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.client.v1.events.list(params={"limit": 101})

    assert refusal.value.param == "limit"


def test_an_unknown_route_gets_a_404_in_stripes_format(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        shop.client.v1.subscriptions.list()
