"""Stripe's objects: one function for each kind, with all fields that the SDK's types have."""

from decimal import Decimal

from fake_stripe.errors import Json

ADDRESS: Json = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}
EVIDENCE_TEXTS = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
]
TWO_WEEKS = 14 * 86_400


def new(kind: str, identifier: str, created: int, **fields: object) -> Json:
    return {"id": identifier, "object": kind, "created": created, "livemode": False, **fields}


def product(identifier: str, created: int, *, name: str, description: str | None, metadata: dict[str, str]) -> Json:
    return new(
        "product", identifier, created, name=name, description=description, metadata=metadata,
        active=True, default_price=None, images=[], marketing_features=[], package_dimensions=None, shippable=None,
        statement_descriptor=None, tax_code=None, type="service", unit_label=None, updated=created, url=None,
    )  # fmt: skip


def price(identifier: str, created: int, *, product_id: str, currency: str, amount: int, **fields: object) -> Json:
    return new(
        "price", identifier, created, product=product_id, currency=currency, unit_amount=amount,
        unit_amount_decimal=str(Decimal(amount)), active=fields.get("active", True), billing_scheme="per_unit",
        custom_unit_amount=None, lookup_key=fields.get("lookup_key"), metadata=fields.get("metadata", {}),
        nickname=fields.get("nickname"), recurring=None, tax_behavior="unspecified", tiers_mode=None,
        transform_quantity=None, type="one_time",
    )  # fmt: skip


def line_item(identifier: str, *, price: Json, quantity: int, description: str) -> Json:
    total = price["unit_amount"] * quantity
    return {
        "id": identifier, "object": "item", "adjustable_quantity": None, "amount_discount": 0,
        "amount_subtotal": total, "amount_tax": 0, "amount_total": total, "currency": price["currency"],
        "description": description, "discounts": [], "metadata": {}, "price": price, "quantity": quantity, "taxes": [],
    }  # fmt: skip


def customer(identifier: str, created: int, **fields: object) -> Json:
    defaults: Json = {
        "address": None, "balance": 0, "currency": None, "default_source": None, "delinquent": False,
        "description": None, "discount": None, "email": None, "invoice_prefix": identifier[-8:].upper(),
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None,
                             "rendering_options": None},
        "metadata": {}, "name": None, "next_invoice_sequence": 1, "phone": None, "preferred_locales": [],
        "shipping": None, "tax_exempt": "none", "test_clock": None,
    }  # fmt: skip
    return new("customer", identifier, created, **(defaults | fields))


def checkout_session(identifier: str, created: int, **fields: object) -> Json:
    """`fields` come from the request; the rest are the defaults of a hosted payment session."""
    defaults: Json = {
        "after_expiration": None, "automatic_tax": {"enabled": False, "liability": None, "provider": None,
                                                    "status": None},
        "client_secret": None, "collected_information": None, "consent": None, "consent_collection": None,
        "currency_conversion": None, "custom_fields": [], "customer_account": None, "customer_details": None,
        "discounts": [], "invoice": None, "invoice_creation": {"enabled": False, "invoice_data": {
            "account_tax_ids": None, "custom_fields": None, "description": None, "footer": None, "issuer": None,
            "metadata": {}, "rendering_options": None}},
        "integration_identifier": None, "managed_payments": None, "mode": "payment", "payment_intent": None,
        "payment_link": None, "payment_method_collection": "if_required",
        "payment_method_configuration_details": None, "payment_status": "unpaid", "permissions": None,
        "phone_number_collection": {"enabled": False}, "recovered_from": None, "saved_payment_method_options": None,
        "setup_intent": None, "shipping_address_collection": None, "shipping_cost": None, "shipping_options": [],
        "status": "open", "subscription": None, "ui_mode": "hosted_page", "wallet_options": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    }  # fmt: skip
    return new("checkout.session", identifier, created, **(defaults | fields))


def payment_intent(identifier: str, created: int, **fields: object) -> Json:
    defaults: Json = {
        "amount_capturable": 0, "amount_details": {"tip": {}}, "amount_received": 0, "application": None,
        "application_fee_amount": None, "automatic_payment_methods": None, "canceled_at": None,
        "cancellation_reason": None, "capture_method": "automatic_async", "client_secret": f"{identifier}_secret_fake",
        "confirmation_method": "automatic", "customer_account": None, "excluded_payment_method_types": None,
        "last_payment_error": None, "latest_charge": None, "managed_payments": None,
        "next_action": None, "on_behalf_of": None, "payment_method": None,
        "payment_method_configuration_details": None, "payment_method_options": {}, "processing": None,
        "review": None, "setup_future_usage": None, "shipping": None, "source": None, "statement_descriptor": None,
        "statement_descriptor_suffix": None, "status": "requires_payment_method", "transfer_data": None,
        "transfer_group": None,
    }  # fmt: skip
    return new("payment_intent", identifier, created, **(defaults | fields))


def charge(identifier: str, created: int, *, intent: Json, details: Json, billing: Json, **fields: object) -> Json:
    succeeded = fields.get("status", "succeeded") == "succeeded"
    defaults: Json = {
        "amount": intent["amount"], "amount_captured": intent["amount"] if succeeded else 0, "amount_refunded": 0,
        "application": None, "application_fee": None, "application_fee_amount": None, "billing_details": billing,
        "calculated_statement_descriptor": "PREPAID", "captured": succeeded, "currency": intent["currency"],
        "customer": intent["customer"], "description": intent["description"], "disputed": False,
        "failure_balance_transaction": None, "failure_code": None, "failure_message": None, "fraud_details": {},
        "metadata": dict(intent["metadata"]), "on_behalf_of": None, "paid": succeeded,
        "outcome": outcome("authorized", "Payment complete."), "payment_intent": intent["id"],
        "payment_method": intent["payment_method"], "payment_method_details": details, "radar_options": {},
        "receipt_email": intent["receipt_email"], "receipt_number": None, "receipt_url": None, "refunded": False,
        "review": None, "shipping": None, "source": None, "source_transfer": None, "statement_descriptor": None,
        "statement_descriptor_suffix": None, "status": "succeeded", "transfer_data": None, "transfer_group": None,
    }  # fmt: skip
    return new("charge", identifier, created, balance_transaction=None, **(defaults | fields))


def outcome(kind: str, message: str) -> Json:
    approved = kind == "authorized"
    return {
        "advice_code": None, "network_advice_code": None, "network_decline_code": None,
        "network_status": "approved_by_network" if approved else "declined_by_network",
        "reason": None if approved else "generic_decline", "risk_level": "normal", "seller_message": message,
        "type": kind,
    }  # fmt: skip


def card_details(last4: str) -> Json:
    card: Json = {
        "authorization_code": "123456", "brand": "visa", "checks": {"address_line1_check": None,
                                                                    "address_postal_code_check": None,
                                                                    "cvc_check": "pass"},
        "country": "BR", "exp_month": 12, "exp_year": 2034, "fingerprint": "fakefingerprint1", "funding": "credit",
        "installments": None, "last4": last4, "mandate": None, "network": "visa", "network_token": {"used": False},
        "network_transaction_id": None, "regulated_status": "unregulated", "three_d_secure": None, "wallet": None,
    }  # fmt: skip
    return {"type": "card", "card": card}


def refund(identifier: str, created: int, *, charge: Json, amount: int, status: str, **fields: object) -> Json:
    method = {"boleto": "br_bank_transfer"}.get(charge["payment_method_details"]["type"])
    method = method or charge["payment_method_details"]["type"]
    destination: Json = {"type": method, method: {"type": "refund"} if method == "card" else {}}
    return {
        "id": identifier, "object": "refund", "amount": amount, "balance_transaction": None, "charge": charge["id"],
        "created": created, "currency": charge["currency"], "destination_details": destination,
        "customer": charge["customer"], "customer_account": None, "metadata": fields.get("metadata", {}),
        "payment_intent": charge["payment_intent"], "payment_method": charge["payment_method"],
        "pending_reason": "processing" if status == "pending" else None, "reason": fields.get("reason"),
        "receipt_number": None, "source_transfer_reversal": None, "status": status, "transfer_reversal": None,
    }  # fmt: skip


def dispute(identifier: str, created: int, *, charge: Json, amount: int, reason: str, status: str) -> Json:
    inquiry = status.startswith("warning")
    details: Json | None = None
    if charge["payment_method_details"]["type"] == "card":
        card = {"brand": "visa", "case_type": "inquiry" if inquiry else "chargeback", "network": "visa",
                "network_reason_code": "10.4"}  # fmt: skip
        details = {"card": card, "type": "card"}
    evidence: Json = dict.fromkeys(EVIDENCE_TEXTS)
    fields: Json = {
        "amount": amount, "balance_transactions": [], "charge": charge["id"], "currency": charge["currency"],
        "enhanced_eligibility_types": [], "evidence": evidence | {"enhanced_evidence": {}},
        "evidence_details": {"due_by": created + TWO_WEEKS, "enhanced_eligibility": {}, "has_evidence": False,
                             "past_due": False, "submission_count": 0, "submission_method": "not_submitted"},
        "is_charge_refundable": inquiry, "metadata": {}, "payment_intent": charge["payment_intent"],
        "reason": reason, "status": status,
    }  # fmt: skip
    return new("dispute", identifier, created, **(fields | ({"payment_method_details": details} if details else {})))


def balance_transaction(identifier: str, created: int, *, kind: str, amount: int, source: Json) -> Json:
    return {
        "id": identifier, "object": "balance_transaction", "amount": amount, "available_on": created,
        "balance_type": "payments", "created": created, "currency": source["currency"], "description": None,
        "exchange_rate": None, "fee": 0, "fee_details": [], "net": amount,
        "reporting_category": "dispute" if kind == "adjustment" else kind, "source": source["id"],
        "status": "available", "type": kind,
    }  # fmt: skip


def event(identifier: str, created: int, *, kind: str, subject: Json, api_version: str, cause: Json) -> Json:
    """`subject` is a copy, because later changes must not reach the event."""
    return new(
        "event", identifier, created, api_version=api_version, data={"object": subject}, pending_webhooks=0,
        request=dict(cause), type=kind,
    )  # fmt: skip
