"""Creates Checkout Sessions, with Stripe's rules for the parameters."""

from urllib.parse import urlsplit

from fake_stripe import objects
from fake_stripe.errors import Json, StripeError
from fake_stripe.forms import Params
from fake_stripe.state import Basket, State

REFLECTED = ("allow_promotion_codes", "client_reference_id", "customer_email", "origin_context", "submit_type")
KNOWN = (
    "adaptive_pricing", "allowed_payment_method_types", "billing_address_collection", "cancel_url", "currency",
    "customer", "customer_creation", "customer_update", "custom_text", "excluded_payment_method_types", "expand",
    "expires_at", "line_items", "locale", "metadata", "mode", "payment_intent_data", "payment_method_options",
    "payment_method_types", "success_url", "ui_mode", *REFLECTED,
)  # fmt: skip
NOT_BUILT = (
    "after_expiration", "automatic_tax", "branding_settings", "consent_collection", "custom_fields",
    "customer_account", "discounts", "integration_identifier", "invoice_creation", "managed_payments",
    "name_collection", "optional_items", "payment_method_collection", "payment_method_configuration",
    "payment_method_data", "permissions", "phone_number_collection", "redirect_on_completion", "return_url",
    "saved_payment_method_options", "setup_intent_data", "shipping_address_collection", "shipping_options",
    "subscription_data", "tax_id_collection", "wallet_options",
)  # fmt: skip
LOCALES = [
    "auto",
    "bg",
    "cs",
    "da",
    "de",
    "el",
    "en",
    "en-GB",
    "es",
    "es-419",
    "et",
    "fi",
    "fil",
    "fr",
    "fr-CA",
    "hi-IN",
    "hr",
    "hu",
    "id",
    "it",
    "ja",
    "ko",
    "lt",
    "lv",
    "ms",
    "mt",
    "nb",
    "nl",
    "pl",
    "pt",
    "pt-BR",
    "ro",
    "ru",
    "sk",
    "sl",
    "sv",
    "th",
    "tr",
    "vi",
    "zh",
    "zh-HK",
    "zh-TW",
]
ENDIVE = "2026-09-30"  # the API version that removed payment_method_types
HALF_HOUR, DAY = 1800, 86_400
SLACK = 60
MAX_ITEMS = 100
MAX_UNIT_AMOUNT = 99_999_999
LEAST_AMOUNT = 50
LEAST_BOLETO, MOST_BOLETO = 500, 4_999_999


def create(state: State, params: Params, version: str) -> Json:
    _check_names(params, version)
    now = state.now()
    customer = params.text("customer")
    if customer is not None:
        state.find("customer", customer, "customer")
    identifier = state.new_id("checkout.session")
    urls = {name: _url(params, name) for name in ("success_url", "cancel_url")}
    intent_fields = _intent_fields(params.child("payment_intent_data"))
    metadata = params.metadata()
    expires_at = _expires_at(params, now)
    items = _line_items(state, params, now)
    total = sum(item["amount_total"] for item in items)
    currency = items[0]["currency"]
    if total < LEAST_AMOUNT:
        raise StripeError(
            f"The Checkout Session's total amount due must add up to at least {LEAST_AMOUNT} in {currency}",
            code="amount_too_small",
        )
    methods = _methods(params, currency, total)
    session = objects.checkout_session(
        identifier,
        now,
        **urls,
        **_reflected(params),
        adaptive_pricing={"enabled": params.child("adaptive_pricing").boolean("enabled") or False},
        allowed_payment_method_types=params.strings("allowed_payment_method_types"),
        amount_subtotal=total,
        amount_total=total,
        currency=currency,
        customer=customer,
        customer_creation=None if customer else params.text("customer_creation") or "if_required",
        excluded_payment_method_types=params.strings("excluded_payment_method_types"),
        expires_at=expires_at,
        metadata=metadata,
        payment_method_options=_method_options(params.child("payment_method_options"), methods),
        payment_method_types=methods,
        url=f"{state.public_url}/pay/{identifier}",
    )
    state.put(session)
    state.baskets[identifier] = Basket(items, intent_fields)
    return session


def _check_names(params: Params, version: str) -> None:
    params.refuse(NOT_BUILT)
    if "payment_method_types" in params.fields and version[:10] >= ENDIVE:
        raise StripeError(
            "payment_method_types is no longer supported on Checkout Sessions. "
            "Use allowed_payment_method_types or manage payment methods in the Dashboard.",
            code="payment_method_types_no_longer_supported",
            param="payment_method_types",
        )
    params.allow(KNOWN)
    if params.required("mode") != "payment":
        raise StripeError("The fake supports mode=payment only", param="mode")
    if params.text("ui_mode") not in {None, "hosted", "hosted_page"}:
        raise StripeError("The fake supports the hosted page only", param="ui_mode")
    if params.text("customer") and (params.text("customer_email") or params.text("customer_creation")):
        raise StripeError("You may only specify one of these parameters: customer, customer_email.", param="customer")
    params.choice("customer_creation", ("always", "if_required"))
    if not params.text("success_url"):
        raise StripeError("Missing required param: success_url.", code="parameter_missing", param="success_url")


def _reflected(params: Params) -> Json:
    """The fields that the session repeats from the request."""
    texts = params.child("custom_text")
    places = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
    texts.allow(places)
    messages = {place: texts.child(place).text("message", limit=1200) for place in places}
    return {
        "allow_promotion_codes": params.boolean("allow_promotion_codes"),
        "billing_address_collection": params.choice("billing_address_collection", ("auto", "required")),
        "client_reference_id": params.text("client_reference_id", limit=200),
        "custom_text": {place: {"message": message} if message else None for place, message in messages.items()},
        "customer_email": params.text("customer_email", limit=800),
        "locale": params.choice("locale", LOCALES),
        "origin_context": params.choice("origin_context", ("mobile_app", "web")),
        "submit_type": params.choice("submit_type", ("auto", "book", "donate", "pay")),
    }


def _url(params: Params, name: str) -> str | None:
    url = params.text(name)
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable() and " " not in url
    except ValueError:
        is_valid = False
    if not is_valid:
        raise StripeError(f"Not a valid URL: {name}", code="url_invalid", param=name)
    return url


def _expires_at(params: Params, now: int) -> int:
    expires_at = params.integer("expires_at")
    if expires_at is None:
        return now + DAY
    if expires_at < now + HALF_HOUR - SLACK:
        raise StripeError(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.", param="expires_at"
        )
    if expires_at > now + DAY + SLACK:
        raise StripeError(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.", param="expires_at"
        )
    return expires_at


def _intent_fields(params: Params) -> Json:
    params.allow(("description", "metadata", "receipt_email", "statement_descriptor", "statement_descriptor_suffix"))
    return {
        "description": params.text("description"),
        "metadata": params.metadata(),
        "receipt_email": params.text("receipt_email"),
        "statement_descriptor": params.text("statement_descriptor", limit=22),
        "statement_descriptor_suffix": params.text("statement_descriptor_suffix", limit=22),
    }


def _line_items(state: State, params: Params, now: int) -> list[Json]:
    entries = params.children("line_items")
    if not entries:
        raise StripeError("Missing required param: line_items.", code="parameter_missing", param="line_items")
    if len(entries) > MAX_ITEMS:
        raise StripeError(f"line_items can have at most {MAX_ITEMS} entries", param="line_items")
    items = [_line_item(state, entry, now) for entry in entries]
    if len({item["currency"] for item in items}) > 1:
        raise StripeError("All line items must have the same currency", param="line_items")
    return items


def _line_item(state: State, params: Params, now: int) -> Json:
    params.refuse(("adjustable_quantity", "metadata", "tax_rates"))
    params.allow(("price", "price_data", "quantity"))
    params.required("quantity")
    quantity = params.integer("quantity", least=1, most=999_999) or 1
    identifier = params.text("price")
    if identifier is not None:
        price = state.find("price", identifier, params.path("price"))
    else:
        price = price_from(state, params.child("price_data"), now)
    name = state.find("product", price["product"])["name"]
    return objects.line_item(state.new_id("item"), price=price, quantity=quantity, description=name)


def price_from(state: State, data: Params, now: int) -> Json:
    """Create a one-time price from the parameters of a request. As at Stripe, it is inactive afterwards."""
    data.refuse(("recurring",))
    data.allow(("currency", "product", "product_data", "tax_behavior", "unit_amount", "unit_amount_decimal"))
    currency = data.required("currency").lower()
    if len(currency) != 3 or not currency.isalpha():  # noqa: PLR2004 (ISO 4217)
        raise StripeError(f"Invalid currency: {currency[:8]}", param=data.path("currency"))
    name = "unit_amount" if "unit_amount" in data.fields else "unit_amount_decimal"
    data.required(name)
    amount = data.integer(name, most=MAX_UNIT_AMOUNT) or 0
    product_id = data.text("product")
    if product_id is not None:
        product = state.find("product", product_id, data.path("product"))
    else:
        product_data = data.child("product_data")
        product_data.allow(("description", "images", "metadata", "name", "tax_code", "unit_label"))
        product = objects.product(
            state.new_id("product"),
            now,
            name=product_data.required("name"),
            description=product_data.text("description"),
            metadata=product_data.metadata(),
        )
        product["active"] = False
        state.put(product)
    price = objects.price(
        state.new_id("price"), now, product_id=product["id"], currency=currency, amount=amount, active=False
    )
    return state.put(price)


def _methods(params: Params, currency: str, total: int) -> list[str]:
    """Return the session's payment methods. `payment_method_types` must fit; the other two lists only filter."""
    possible = ["card"]
    if currency == "brl":
        possible.append("pix")
        if LEAST_BOLETO <= total <= MOST_BOLETO:
            possible.append("boleto")
    required = params.strings("payment_method_types")
    if required is not None:
        for method in required:
            if method not in possible:
                raise StripeError(
                    f"The payment method type `{method[:40]}` can't be used with this currency and amount.",
                    param="payment_method_types",
                )
        possible = required
    allowed = params.strings("allowed_payment_method_types")
    excluded = params.strings("excluded_payment_method_types")
    if allowed is not None and excluded is not None:
        raise StripeError(
            "You may only specify one of these parameters: allowed_payment_method_types, "
            "excluded_payment_method_types.",
            param="allowed_payment_method_types",
        )
    methods = [name for name in possible if (allowed is None or name in allowed) and name not in (excluded or ())]
    if not methods:
        raise StripeError("No valid payment method types for this Checkout Session.")
    return methods


def _method_options(params: Params, methods: list[str]) -> Json:
    card, pix, boleto = params.child("card"), params.child("pix"), params.child("boleto")
    days = boleto.integer("expires_after_days", most=60)
    options: Json = {
        "card": {"request_three_d_secure": card.text("request_three_d_secure") or "automatic"},
        "pix": {"expires_after_seconds": pix.integer("expires_after_seconds", least=10, most=1_209_600) or DAY},
        "boleto": {"expires_after_days": 3 if days is None else days},
    }
    return {method: options[method] for method in methods}
