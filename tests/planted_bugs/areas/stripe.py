"""Bugs in what we read from Stripe and send to it."""

from tests.planted_bugs.bug import Bug

STRIPE = (
    Bug(
        "any signature will do",
        "verified_event",
        "if not any(_is_signed(text, signature, secret) for secret in secrets):",
        "if not secrets:",
        ("test_webhook_signature",),
    ),
    Bug(
        "a delivery from the future",
        "verified_event",
        "if abs(now.timestamp() - int(header[1])) > tolerance_seconds:",
        "if now.timestamp() - int(header[1]) > tolerance_seconds:",
        ("test_webhook_signature",),
    ),
    Bug(
        "the previous secret is forgotten",
        "verified_event",
        "for secret in secrets",
        "for secret in secrets[:1]",
        ("test_webhook_signature",),
    ),
    Bug(
        "failed refunds count",
        "_refunded",
        "return sum(refund.amount for refund in refunds.data if refund.status not in VOID_REFUNDS)",
        "return sum(refund.amount for refund in refunds.data)",
        ("functions/test_money_back",),
    ),
    Bug(
        "cancelled refunds count",
        "VOID_REFUNDS",
        'frozenset({"failed", "canceled"})',
        'frozenset({"failed"})',
        ("functions/test_money_back",),
    ),
    Bug(
        "an older name of an event is dropped",
        "MONEY_EVENTS",
        '"charge.refund.updated",',
        "",
        ("test_event_types",),
    ),
    Bug(
        "events of connected accounts are followed",
        "_find_session",
        "if event.connected_account: return None",
        "",
        ("test_event_types",),
    ),
    Bug(
        "a payment of another account is retried for days",
        "find_session_of_payment",
        "if _is_missing(error): return None",
        "",
        ("test_event_types",),
    ),
    Bug(
        "an inquiry takes credits",
        "_disputed",
        "return sum(dispute.amount for dispute in disputes.data if dispute.status in LOST_DISPUTES)",
        'return sum(dispute.amount for dispute in disputes.data if dispute.status != "won")',
        ("functions/test_money_back",),
    ),
    Bug(
        "a code to pay is money",
        "_progress",
        'if session.payment_status == "paid":',
        'if session.status == "complete":',
        ("test_webhook_purchases",),
    ),
    Bug(
        "a page is made twice",
        "create_page.create",
        ', {"idempotency_key": key}',
        "",
        (
            "functions/test_buying",
            "test_interrupted_buying",
        ),
    ),
    Bug(
        "the page's price can be lowered",
        "_parameters",
        '"allow_promotion_codes": False,',
        '"allow_promotion_codes": True,',
        ("functions/test_buying",),
    ),
    Bug(
        "an old delivery is played again",
        "verified_event",
        "if abs(now.timestamp() - int(header[1])) > tolerance_seconds:",
        "if int(header[1]) - now.timestamp() > tolerance_seconds:",
        ("test_webhook_signature",),
    ),
    Bug(
        "a delivery's time is looked up elsewhere than it is signed",
        "HEADER",
        r'r"t=([0-9]{1,12})(?:,v[0-9]{1,2}=[0-9a-f]{1,128}){1,8}"',
        r'r"t=([0-9]{1,12})(?:,(?:v[0-9]{1,2}|t)=[0-9a-f]{1,128}){1,8}"',
        ("test_webhook_signature",),
    ),
)
