"""The official SDK creates, reads and lists objects at the running fake, and gets its errors."""

import pytest
import stripe

from fake_stripe.tests.support import Clock, Controls, Sdk


def test_a_session_has_the_requested_values(sdk: Sdk) -> None:
    session = sdk.session(
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


def test_line_items_are_included_only_on_request(sdk: Sdk) -> None:
    session = sdk.session()

    plain = sdk.fetched(session)
    whole = sdk.fetched(session, "line_items")
    listed = sdk.client.v1.checkout.sessions.line_items.list(session.id)

    assert getattr(plain, "line_items", None) is None
    assert whole.line_items is not None
    [item] = whole.line_items.data
    assert item.price is not None
    assert (item.quantity, item.amount_total, item.price.unit_amount) == (1, 12_990, 12_990)
    assert [found.id for found in listed.data] == [item.id]


def test_a_stored_price_can_be_sold(sdk: Sdk) -> None:
    product = sdk.client.v1.products.create(params={"name": "500 créditos"})
    price = sdk.client.v1.prices.create(params={"currency": "brl", "unit_amount": 49_900, "product": product.id})

    session = sdk.session(line_items=[{"price": price.id, "quantity": 2}])

    assert session.amount_total == 99_800
    whole = sdk.fetched(session, "line_items")
    assert whole.line_items is not None
    assert whole.line_items.data[0].description == "500 créditos"


def test_a_customer_is_created_updated_and_used_in_a_session(sdk: Sdk) -> None:
    customer = sdk.client.v1.customers.create(params={"name": "Pet Sdk", "metadata": {"account": "a1", "x": "y"}})
    sdk.client.v1.customers.update(customer.id, params={"email": "a@example.com", "metadata": {"x": ""}})

    found = sdk.client.v1.customers.retrieve(customer.id)
    session = sdk.session(customer=customer.id)

    assert found.email == "a@example.com"
    assert found.metadata is not None
    assert found.metadata.to_dict() == {"account": "a1"}
    assert session.customer == customer.id
    expanded = sdk.fetched(session, "customer").customer
    assert isinstance(expanded, stripe.Customer)
    assert expanded.name == "Pet Sdk"


def test_the_whole_payment_can_be_expanded_at_once(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session(payment_intent_data={"metadata": {"purchase": "pur_1"}})
    controls.post(f"sessions/{session.id}/pay")

    intent = sdk.fetched(session, "payment_intent.latest_charge.balance_transaction").payment_intent

    assert isinstance(intent, stripe.PaymentIntent)
    assert intent.metadata.to_dict() == {"purchase": "pur_1"}
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    assert charge.balance_transaction.net == 12_990


def test_lists_are_paged_newest_first_without_gaps(sdk: Sdk) -> None:
    ids = [sdk.session().id for _ in range(7)]

    first = sdk.client.v1.checkout.sessions.list(params={"limit": 3})
    everything = [found.id for found in first.auto_paging_iter()]

    assert first.has_more
    assert everything == ids[::-1]


def test_a_list_can_be_read_backwards(sdk: Sdk) -> None:
    ids = [sdk.session().id for _ in range(5)]

    page = sdk.client.v1.checkout.sessions.list(params={"limit": 2, "ending_before": ids[0]})

    assert [found.id for found in page.data] == [ids[2], ids[1]]
    assert page.has_more


def test_sessions_are_found_by_time_state_and_payment(sdk: Sdk, controls: Controls, clock: Clock) -> None:
    old = sdk.session()
    clock.at += 1000
    paid, open_one = sdk.session(), sdk.session()
    controls.post(f"sessions/{paid.id}/pay")
    sessions = sdk.client.v1.checkout.sessions
    intent = str(sdk.fetched(paid).payment_intent)

    recent = sessions.list(params={"created": {"gte": old.created + 1}})
    complete = sessions.list(params={"status": "complete"})
    of_intent = sessions.list(params={"payment_intent": intent})

    assert [found.id for found in recent.data] == [open_one.id, paid.id]
    assert [found.id for found in complete.data] == [paid.id]
    assert [found.id for found in of_intent.data] == [paid.id]


def test_events_are_found_by_type_and_time(sdk: Sdk, controls: Controls, clock: Clock) -> None:
    for _ in range(2):
        controls.post(f"sessions/{sdk.session().id}/pay")
        clock.at += 100
    events = sdk.client.v1.events

    chosen = events.list(params={"types": ["checkout.session.completed", "charge.succeeded"]})
    late = events.list(params={"type": "charge.succeeded", "created": {"gte": int(clock.at) - 100}})

    assert [event.type for event in chosen.data] == ["checkout.session.completed", "charge.succeeded"] * 2
    assert len(late.data) == 1
    assert events.retrieve(late.data[0].id).data.object["object"] == "charge"


def test_an_event_keeps_the_objects_state_at_its_time(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/confirm", method="pix")
    controls.post(f"sessions/{session.id}/pay")

    completed, arrived = sdk.events("checkout.session.completed", "checkout.session.async_payment_succeeded")

    assert completed.data.object["payment_status"] == "unpaid"
    assert arrived.data.object["payment_status"] == "paid"


def test_an_event_names_the_request_that_caused_it(sdk: Sdk) -> None:
    sdk.client.v1.customers.create(params={"name": "A"}, options={"idempotency_key": "customer-1"})

    [event] = sdk.events("customer.created")

    assert event.request is not None
    assert event.request.idempotency_key == "customer-1"
    assert str(event.request.id).startswith("req_")


def test_every_response_has_a_request_id(sdk: Sdk) -> None:
    session = sdk.session()

    assert session.last_response is not None
    assert str(session.last_response.request_id).startswith("req_")


def test_a_parameter_that_the_api_version_removed_is_rejected(sdk: Sdk) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sdk.session(payment_method_types=["card", "pix"])

    assert refusal.value.code == "payment_method_types_no_longer_supported"


def test_an_older_version_accepts_payment_method_types(sdk: Sdk) -> None:
    params = {
        "mode": "payment",
        "line_items": [
            {"price_data": {"currency": "brl", "unit_amount": 900, "product_data": {"name": "x"}}, "quantity": 1}
        ],
        "success_url": "https://shop.example/",
        "payment_method_types": ["boleto"],
    }
    session = sdk.client.v1.checkout.sessions.create(
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
def test_only_methods_that_fit_the_amount_are_offered(sdk: Sdk, currency: str, amount: int, offered: list[str]) -> None:
    item = {"price_data": {"currency": currency, "unit_amount": amount, "product_data": {"name": "x"}}, "quantity": 1}

    session = sdk.session(line_items=[item], allowed_payment_method_types=["card", "pix", "boleto"])

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
    sdk: Sdk, params: dict[str, object], param: str, code: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sdk.session(**params)

    assert (refusal.value.param, refusal.value.code) == (param, code)
    assert not sdk.client.v1.checkout.sessions.list().data


def test_an_unsupported_feature_may_be_switched_off(sdk: Sdk) -> None:
    session = sdk.session(automatic_tax={"enabled": False}, invoice_creation={"enabled": False})

    assert session.automatic_tax.enabled is False
    with pytest.raises(stripe.InvalidRequestError, match="does not support automatic_tax"):
        sdk.session(automatic_tax={"enabled": True})


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "true", "٣", "1" + "0" * 30])
def test_a_quantity_must_be_a_plain_positive_number(sdk: Sdk, quantity: str) -> None:
    item = {
        "price_data": {"currency": "brl", "unit_amount": 900, "product_data": {"name": "x"}},
        "quantity": quantity,
    }

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sdk.session(line_items=[item])

    assert refusal.value.param == "line_items[0][quantity]"


def test_an_unknown_id_gets_a_404_that_names_it(sdk: Sdk) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sdk.client.v1.checkout.sessions.retrieve("cs_test_nobody")

    assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")
    assert "cs_test_nobody" in str(refusal.value)


def test_a_page_of_a_list_has_at_most_a_hundred_entries(sdk: Sdk) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sdk.client.v1.events.list(params={"limit": 101})

    assert refusal.value.param == "limit"


def test_an_unknown_route_gets_a_404_in_stripes_format(sdk: Sdk) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        sdk.client.v1.subscriptions.list()
