"""Stripe's REST API: authentication, routing, responses. The table at the end lists the routes."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, Rule

from fake_stripe import checkout, forms, keys, lifecycle, listing, money_back, objects
from fake_stripe.errors import Json, StripeError
from fake_stripe.faults import Faults
from fake_stripe.forms import Params
from fake_stripe.idempotency import Idempotency, SavedResponse
from fake_stripe.state import API_VERSION, State

REFUND_REASONS = ("duplicate", "fraudulent", "requested_by_customer")
CUSTOMER_FIELDS = ("description", "email", "name", "phone")
ACCOUNT = "acct_fake"


@dataclass(frozen=True, slots=True)
class Request:
    """What the SDK sends, over HTTP or in this process."""

    method: str
    target: str  # path and query
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes
    headers: dict[str, str]


@dataclass
class Call:
    """One permitted request: the id in its path, its parameters, and the state, locked."""

    state: State
    params: Params
    url: str
    identifier: str = ""
    version: str = API_VERSION


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    resource: str
    run: Callable[[Call], Json]
    names: tuple[str, ...] | None = ()  # the accepted parameters; None when the route checks them itself

    @property
    def level(self) -> str:
        return "write" if self.method == "POST" else "read"


class Api:
    def __init__(self, state: State, known_keys: dict[str, dict[str, str] | None]) -> None:
        self.state = state
        self.keys = known_keys
        self.idempotency = Idempotency(state.now)
        self.faults = Faults()
        self.undelivered: Callable[[str], bool] = lambda _event_id: False

    @contextmanager
    def without_permission(self, key: str, resource: str) -> Iterator[None]:
        """For the length of a with block a restricted key lacks its permission for this resource."""
        permissions = self.keys[key]
        assert permissions is not None, "a secret key has every permission"
        self.keys[key] = {name: level for name, level in permissions.items() if name != resource}
        try:
            yield
        finally:
            self.keys[key] = permissions

    def handle(self, request: Request) -> Response:
        with self.state.lock:
            request_id = self.state.new_id("request")
        version = request.headers.get("stripe-version") or API_VERSION
        headers = {"Request-Id": request_id, "Stripe-Version": version}
        try:
            return self._respond(request, request_id, version, headers)
        except StripeError as error:
            return Response(error.status, json.dumps(error.body(), ensure_ascii=False).encode(), headers)

    def _respond(self, request: Request, request_id: str, version: str, headers: dict[str, str]) -> Response:
        key = keys.authenticate(request.headers.get("authorization"), self.keys)
        route, identifier = _match(request)
        keys.authorize(key, self.keys[key], route.resource, route.level)
        encoded = _encoded(request)
        params = Params(forms.decode(encoded))
        fault = self.faults.take()
        if fault.status:
            raise StripeError("A control injected this error", status=fault.status, kind="api_error")
        call = Call(self.state, params, urlsplit(request.target).path, identifier, version)
        idempotency_key = request.headers.get("idempotency-key") if request.method == "POST" else None

        def run() -> SavedResponse:
            fault.wait()
            cause = {"id": request_id, "idempotency_key": idempotency_key}
            return SavedResponse(200, self._run(route, call, cause), request_id)

        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
            response, replayed = self.idempotency.run(ACCOUNT, idempotency_key, call.url, encoded, run)
            headers["Original-Request"] = response.request_id
            if replayed:
                headers["Idempotent-Replayed"] = "true"
        else:
            response = run()
        if fault.drop:
            raise ConnectionAbortedError("A control dropped this response")
        return Response(response.status, response.body, headers)

    def _run(self, route: Route, call: Call, cause: Json) -> bytes:
        with self.state.lock:
            lifecycle.expire_due(self.state)
            if route.names is not None:
                call.params.allow((*route.names, "expand"))
            paths = listing.expansions(call.params)
            self.state.cause = cause
            try:
                result = listing.expanded(self.state, route.run(call), paths)
            finally:
                self.state.cause = {"id": None, "idempotency_key": None}
            if route.resource == "event":
                self._show_deliveries(result)
            return json.dumps(result, ensure_ascii=False).encode()

    def _show_deliveries(self, result: Json) -> None:
        for event in result["data"] if result["object"] == "list" else [result]:
            event["pending_webhooks"] = int(self.undelivered(event["id"]))


def _match(request: Request) -> tuple[Route, str]:
    path = urlsplit(request.target).path
    try:
        route, captured = ROUTER.match(path, request.method)
    except HTTPException as error:
        message = f"Unrecognized request URL ({request.method}: {path[:200]})."
        raise StripeError(message, status=404) from error
    return route, captured.get("id", "")


def _encoded(request: Request) -> str:
    query = urlsplit(request.target).query
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not request.body:
        return query
    if kind != "application/x-www-form-urlencoded":
        raise StripeError(f"Invalid content type: {kind[:80]}; send application/x-www-form-urlencoded")
    try:
        body = request.body.decode("ascii")
    except UnicodeDecodeError as error:
        raise StripeError("The form is not percent-encoded ASCII") from error
    return "&".join(filter(None, (query, body)))


def _retrieve(kind: str) -> Callable[[Call], Json]:
    return lambda call: call.state.find(kind, call.identifier)


def _list(kind: str, *filters: str) -> Callable[[Call], Json]:
    """List the objects whose fields equal the `filters` of the request. An object that it names must exist."""

    def run(call: Call) -> Json:
        values = {name: call.params.text(name) for name in filters if name in call.params.fields}
        for name in NAMED.intersection(values):
            call.state.find(name, values[name] or "", name)
        records = (
            record
            for record in call.state.newest_first(kind)
            if all(_plain(record.get(name)) == value for name, value in values.items())
        )
        return listing.page(records, call.params, call.url)

    return run


def _plain(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _list_events(call: Call) -> Json:
    types = call.params.strings("types") or []
    if call.params.text("type"):
        types.append(call.params.required("type"))
    records: Iterable[Json] = call.state.newest_first("event")
    if types:
        records = [record for record in records if any(_matches(record["type"], wanted) for wanted in types)]
    return listing.page(records, call.params, call.url)


def _matches(event_type: str, pattern: str) -> bool:
    return event_type == pattern or (pattern.endswith("*") and event_type.startswith(pattern[:-1]))


def _create_session(call: Call) -> Json:
    return checkout.create(call.state, call.params, call.version)


def _session_items(call: Call) -> Json:
    call.state.find("checkout.session", call.identifier, "session")
    return listing.page(call.state.baskets[call.identifier].items, call.params, call.url)


def _expire_session(call: Call) -> Json:
    return lifecycle.expire(call.state, call.identifier)


def _update_session(call: Call) -> Json:
    session = call.state.find("checkout.session", call.identifier, "session")
    session["metadata"] = call.params.metadata(old=session["metadata"])
    return session


def _create_customer(call: Call) -> Json:
    fields: Json = {name: call.params.text(name, limit=800) or None for name in CUSTOMER_FIELDS}
    locales = call.params.strings("preferred_locales") or []
    customer = objects.customer(
        call.state.new_id("customer"), call.state.now(), metadata=call.params.metadata(), preferred_locales=locales,
        **fields,
    )  # fmt: skip
    call.state.put(customer)
    call.state.emit("customer.created", customer)
    return customer


def _update_customer(call: Call) -> Json:
    customer = call.state.find("customer", call.identifier)
    previous = {name: customer[name] for name in (*CUSTOMER_FIELDS, "metadata") if name in call.params.fields}
    for name in CUSTOMER_FIELDS:
        if name in call.params.fields:
            customer[name] = call.params.text(name, limit=800) or None
    customer["metadata"] = call.params.metadata(old=customer["metadata"])
    if "preferred_locales" in call.params.fields:
        customer["preferred_locales"] = call.params.strings("preferred_locales")
    call.state.emit("customer.updated", customer, previous)
    return customer


def _create_refund(call: Call) -> Json:
    identifier = call.params.text("charge") or call.params.text("payment_intent")
    if not identifier:
        raise StripeError(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
        )
    return money_back.refund(
        call.state,
        money_back.charge_of(call.state, identifier)["id"],
        call.params.integer("amount", least=1),
        reason=call.params.choice("reason", REFUND_REASONS),
        metadata=call.params.metadata(),
    )


def _update_refund(call: Call) -> Json:
    refund = call.state.find("refund", call.identifier)
    previous = {"metadata": refund["metadata"]}
    refund["metadata"] = call.params.metadata(old=refund["metadata"])
    money_back.announce_update(call.state, refund, previous)
    return refund


def _cancel_refund(call: Call) -> Json:
    refund = call.state.find("refund", call.identifier)
    if refund["status"] != "requires_action":
        raise StripeError(
            "Only refunds with a status of requires_action can be canceled. "
            f"This refund has a status of {refund['status']}.",
            param="refund",
        )
    return money_back.cancel_refund(call.state, call.identifier)


def _update_dispute(call: Call) -> Json:
    evidence = call.params.child("evidence")
    evidence.allow(objects.EVIDENCE_TEXTS)
    texts = {name: evidence.text(name, limit=20_000) or "" for name in evidence.fields}
    dispute = call.state.find("dispute", call.identifier)
    dispute["metadata"] = call.params.metadata(old=dispute["metadata"])
    submit = call.params.boolean("submit")
    return money_back.submit_evidence(call.state, call.identifier, texts, submit=submit is None or submit)


def _close_dispute(call: Call) -> Json:
    return money_back.close_dispute(call.state, call.identifier, "lost")


def _create_product(call: Call) -> Json:
    product = objects.product(
        call.state.new_id("product"), call.state.now(), name=call.params.required("name"),
        description=call.params.text("description"), metadata=call.params.metadata(),
    )  # fmt: skip
    return call.state.put(product)


def _create_price(call: Call) -> Json:
    params = call.params
    price_fields = {name: params.fields[name] for name in params.fields if name not in PRICE_EXTRAS}
    price = checkout.price_from(call.state, Params(price_fields), call.state.now())
    extras = {name: params.text(name, limit=200) for name in ("lookup_key", "nickname")}
    price.update(active=True, metadata=params.metadata(), **extras)
    return price


PRICE_EXTRAS = ("expand", "lookup_key", "metadata", "nickname")
SESSION_FILTERS = ("customer", "payment_intent", "status")
OF_CHARGE = ("charge", "payment_intent")
# Filters that name an object.
NAMED = frozenset({"charge", "customer", "payment_intent", "product"})
PAGING = listing.PAGING

ROUTES = (
    Route("POST", "/v1/checkout/sessions", "checkout_session", _create_session, None),
    Route("GET", "/v1/checkout/sessions", "checkout_session", _list("checkout.session", *SESSION_FILTERS),
          (*PAGING, *SESSION_FILTERS)),
    Route("GET", "/v1/checkout/sessions/<id:id>", "checkout_session", _retrieve("checkout.session")),
    Route("POST", "/v1/checkout/sessions/<id:id>", "checkout_session", _update_session, ("metadata",)),
    Route("GET", "/v1/checkout/sessions/<id:id>/line_items", "checkout_session", _session_items, PAGING),
    Route("POST", "/v1/checkout/sessions/<id:id>/expire", "checkout_session", _expire_session),
    Route("POST", "/v1/customers", "customer", _create_customer, (*CUSTOMER_FIELDS, "metadata", "preferred_locales")),
    Route("GET", "/v1/customers", "customer", _list("customer", "email"), (*PAGING, "email")),
    Route("GET", "/v1/customers/<id:id>", "customer", _retrieve("customer")),
    Route("POST", "/v1/customers/<id:id>", "customer", _update_customer,
          (*CUSTOMER_FIELDS, "metadata", "preferred_locales")),
    Route("GET", "/v1/payment_intents", "payment_intent", _list("payment_intent", "customer"), (*PAGING, "customer")),
    Route("GET", "/v1/payment_intents/<id:id>", "payment_intent", _retrieve("payment_intent")),
    Route("GET", "/v1/charges", "charge", _list("charge", "customer", "payment_intent"),
          (*PAGING, "customer", "payment_intent")),
    Route("GET", "/v1/charges/<id:id>", "charge", _retrieve("charge")),
    Route("POST", "/v1/refunds", "refund", _create_refund,
          ("amount", "charge", "metadata", "payment_intent", "reason")),
    Route("GET", "/v1/refunds", "refund", _list("refund", *OF_CHARGE), (*PAGING, *OF_CHARGE)),
    Route("GET", "/v1/refunds/<id:id>", "refund", _retrieve("refund")),
    Route("POST", "/v1/refunds/<id:id>", "refund", _update_refund, ("metadata",)),
    Route("POST", "/v1/refunds/<id:id>/cancel", "refund", _cancel_refund),
    Route("GET", "/v1/disputes", "dispute", _list("dispute", *OF_CHARGE), (*PAGING, *OF_CHARGE)),
    Route("GET", "/v1/disputes/<id:id>", "dispute", _retrieve("dispute")),
    Route("POST", "/v1/disputes/<id:id>", "dispute", _update_dispute, ("evidence", "metadata", "submit")),
    Route("POST", "/v1/disputes/<id:id>/close", "dispute", _close_dispute),
    Route("POST", "/v1/products", "product", _create_product, ("description", "metadata", "name")),
    Route("GET", "/v1/products", "product", _list("product", "active"), (*PAGING, "active")),
    Route("GET", "/v1/products/<id:id>", "product", _retrieve("product")),
    Route("POST", "/v1/prices", "price", _create_price, None),
    Route("GET", "/v1/prices", "price", _list("price", "active", "currency", "product"),
          (*PAGING, "active", "currency", "product")),
    Route("GET", "/v1/prices/<id:id>", "price", _retrieve("price")),
    Route("GET", "/v1/events", "event", _list_events, (*PAGING, "type", "types")),
    Route("GET", "/v1/events/<id:id>", "event", _retrieve("event")),
    Route("GET", "/v1/balance_transactions/<id:id>", "balance_transaction", _retrieve("balance_transaction")),
)  # fmt: skip


class ObjectId(BaseConverter):
    regex = "[A-Za-z0-9_]{1,255}"


ROUTER = Map(
    [Rule(route.path, methods=[route.method], endpoint=route) for route in ROUTES],
    converters={"id": ObjectId},
    merge_slashes=False,
).bind("")
