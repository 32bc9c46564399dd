"""Every object that the fake returns fits the SDK's types, field by field."""

import inspect
import json
import re
import types
from decimal import Decimal
from typing import Any, ClassVar, ForwardRef, Literal, Union, get_args, get_origin

import pytest
import stripe
from stripe.checkout import Session

from fake_stripe.tests.support import KEY, Controls, Sdk

CLASSES: dict[str, type[Any]] = {
    "balance_transaction": stripe.BalanceTransaction,
    "charge": stripe.Charge,
    "checkout.session": Session,
    "customer": stripe.Customer,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "item": stripe.LineItem,
    "payment_intent": stripe.PaymentIntent,
    "price": stripe.Price,
    "product": stripe.Product,
    "refund": stripe.Refund,
}


def complaints(value: object, annotation: Any, where: str) -> list[str]:
    """The mismatches between a value and an annotation of the SDK; none when it fits."""
    if isinstance(annotation, str | ForwardRef):
        name = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        annotation = getattr(stripe, name)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        return _one_of(value, arguments, where)
    if origin is not None and origin is not Literal:
        return _container(value, origin, arguments, where)
    if inspect.isclass(annotation) and issubclass(annotation, stripe.StripeObject):
        return _fields(value, annotation, where)
    fits = annotation is Any or (value in arguments if origin is Literal else _plain(value, annotation))
    return [] if fits else [f"{where}: {value!r} is no {annotation}"]


def _plain(value: object, kind: type[Any]) -> bool:
    if kind is Decimal:
        return isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value) is not None
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _one_of(value: object, arguments: tuple[Any, ...], where: str) -> list[str]:
    if value is None:
        return [] if types.NoneType in arguments else [f"{where}: null is not allowed"]
    # The SDK types open enumerations as Literal | str; the fake may return documented values only.
    named = [argument for argument in arguments if get_origin(argument) is Literal]
    if isinstance(value, str) and str in arguments and not named:
        return []
    tried = named or [argument for argument in arguments if argument is not types.NoneType]
    results = [complaints(value, argument, where) for argument in tried]
    return min(results, key=len)


def _container(value: object, origin: Any, arguments: tuple[Any, ...], where: str) -> list[str]:
    if origin is list:
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        return [bad for place, item in enumerate(value) for bad in complaints(item, arguments[0], f"{where}[{place}]")]
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no object"]
    if origin is stripe.ListObject:
        bad = [] if {"object", "data", "has_more", "url"} == set(value) else [f"{where}: not a list object"]
        return bad + [found for item in value["data"] for found in complaints(item, arguments[0], f"{where}.data")]
    return [bad for key, item in value.items() for bad in complaints(item, arguments[0], f"{where}.{key}")]


def _fields(value: object, kind: type[Any], where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no {kind.__name__}"]
    annotations: dict[str, Any] = kind.__annotations__
    known = {name: annotation for name, annotation in annotations.items() if get_origin(annotation) is not ClassVar}
    bad = [f"{where}.{name}: {kind.__name__} has no such field" for name in value if name not in known]
    for name, annotation in known.items():
        if name in value:
            bad += complaints(value[name], annotation, f"{where}.{name}")
        elif types.NoneType not in get_args(annotation):
            bad.append(f"{where}.{name}: missing")
    return bad


def everything(sdk: Sdk, controls: Controls) -> dict[str, list[Any]]:
    """Each kind of object in each of its states, as JSON."""
    sdk.client.v1.customers.create(params={"name": "A", "preferred_locales": ["pt-BR"]})
    options = {"boleto": {"expires_after_days": 2}}
    paid = [sdk.session(customer_creation="always", submit_type="pay") for _ in range(3)]
    for session in paid:
        controls.post(f"sessions/{session.id}/pay")
    for method in ("pix", "boleto"):
        waiting, failed = sdk.session(locale="es"), sdk.session(payment_method_options=options)
        controls.post(f"sessions/{waiting.id}/confirm", method=method)
        controls.post(f"sessions/{failed.id}/confirm", method=method)
        controls.post(f"sessions/{failed.id}/fail")
        late = sdk.session()
        controls.post(f"sessions/{late.id}/pay", method=method)
        controls.post(f"sessions/{late.id}/refund", amount=1)
    declined, expired = sdk.session(custom_text={"submit": {"message": "Oi"}}), sdk.session()
    controls.post(f"sessions/{declined.id}/fail")
    controls.post(f"sessions/{expired.id}/expire")
    controls.post(f"sessions/{paid[0].id}/refund", amount=100, status="failed")
    controls.post(f"sessions/{paid[0].id}/refund", amount=200, status="pending")
    for number, ending in enumerate(("won", "lost", "under_review")):
        dispute = controls.post(f"sessions/{paid[number].id}/dispute", inquiry=ending == "under_review")
        controls.post(f"disputes/{dispute['id']}/{ending}")
    objects: dict[str, list[Any]] = controls.get("state")["objects"]
    path = f"/v1/checkout/sessions/{paid[0].id}/line_items"
    _, _, items = controls.request("GET", path, headers={"Authorization": f"Bearer {KEY}"})
    return objects | {"item": json.loads(items)["data"]}


def test_every_object_fits_the_sdks_types(sdk: Sdk, controls: Controls) -> None:
    objects = everything(sdk, controls)

    assert set(objects) == set(CLASSES)
    for kind, things in objects.items():
        for thing in things:
            assert complaints(thing, CLASSES[kind], kind) == []


def test_every_object_in_an_event_fits_the_sdks_types(sdk: Sdk, controls: Controls) -> None:
    events = everything(sdk, controls)["event"]

    assert len({event["type"] for event in events}) > 15
    for event in events:
        subject = event["data"]["object"]
        assert complaints(subject, CLASSES[subject["object"]], event["type"]) == []


@pytest.mark.parametrize(
    ("value", "kind", "complaint"),
    [
        ({"id": 5}, stripe.Refund, "refund.id: 5 is no"),
        ({"status": None}, stripe.Charge, "refund.status: null"),
        ({"nonsense": 1}, stripe.Refund, "no such field"),
        ({"payment_status": "maybe"}, Session, "'maybe' is no"),
        ({}, stripe.Event, "refund.type: missing"),
    ],
)
def test_the_type_check_finds_each_kind_of_mismatch(value: object, kind: type[Any], complaint: str) -> None:
    assert any(complaint in found for found in complaints(value, kind, "refund"))
