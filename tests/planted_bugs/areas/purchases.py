"""Bugs in purchases, from the rules to the webhook."""

from tests.planted_bugs.bug import Bug

PURCHASES = (
    Bug(
        "credits taken back are rounded up",
        "revoked_credits",
        "return purchase.credits * min(money_back, purchase.amount) // purchase.amount",
        "return -(-purchase.credits * min(money_back, purchase.amount) // purchase.amount)",
        ("core/test_money_back",),
    ),
    Bug(
        "more can be taken back than was bought",
        "revoked_credits",
        "return purchase.credits * min(money_back, purchase.amount) // purchase.amount",
        "return purchase.credits * money_back // purchase.amount",
        ("core/test_money_back",),
    ),
    Bug(
        "refunds add up with every look",
        "_revoke",
        "credits=after.revoked - before.revoked,",
        "credits=after.revoked,",
        ("core/test_money_back",),
    ),
    Bug(
        "disputes don't count",
        "next_step",
        "revoked = revoked_credits(purchase, refunded + disputed)",
        "revoked = revoked_credits(purchase, refunded)",
        ("core/test_money_back",),
    ),
    Bug(
        "an unpaid session grants",
        "next_step",
        'if status.progress == "paid": return Step(',
        'if status.progress in {"paid", "awaiting_payment"}: return Step(',
        ("test_purchase",),
    ),
    Bug(
        "the amount is not compared",
        "mismatches",
        '("amount", purchase.amount, status.amount),',
        "",
        ("test_purchase",),
    ),
    Bug(
        "the currency is not compared",
        "mismatches",
        '("currency", purchase.currency, status.currency),',
        "",
        ("test_purchase",),
    ),
    Bug(
        "test money counts as real",
        "mismatches",
        '("live", purchase.live, status.live),',
        "",
        ("test_purchase",),
    ),
    Bug(
        "an expired page is never paid",
        "next_step",
        "if not purchase.granted:",
        """
        if purchase.state == "expired":
            return None
        if not purchase.granted:
        """,
        ("test_purchase",),
    ),
    Bug(
        "two events grant twice",
        "_purchase_put",
        """
        "ConditionExpression": "version = :seen",
        "ExpressionAttributeValues": {":seen": {"N": str(purchase.version - 1)}},
        """,
        "",
        ("test_purchases", "test_recording", "store/test_money_back", "test_money_back_races"),
    ),
    Bug(
        "one payment pays for two purchases",
        "_payment_put",
        '"ConditionExpression": IF_ABSENT,',
        "",
        ("test_purchases", "test_recording"),
    ),
    Bug(
        "the provider is asked before the record is read",
        "sync_purchase",
        """
        purchase = read_purchase(table, pointer.account, pointer.purchase)
        status = look()
        """,
        """
        status = look()
        purchase = read_purchase(table, pointer.account, pointer.purchase)
        """,
        ("test_money_back_races",),
    ),
    Bug(
        "what was written last is not looked at again",
        "sync_purchase",
        "break",
        "return outcome",
        ("test_money_back_races",),
    ),
    Bug(
        "a rival's late spend is taken for expired",
        "_take.also",
        "if overtaken and any(_has_ended(lot, last.at) for lot in before.lots):",
        "if False:",
        ("store/test_money_back",),
    ),
    Bug(
        "what doesn't fit is granted",
        "sync_purchase",
        "if purchase is None or status is None or wrong:",
        "if purchase is None or status is None:",
        ("test_purchases", "test_recording"),
    ),
    Bug(
        "a purchase's key begins another one",
        "record_purchase",
        'CLAIM: {"Item": claim, "ConditionExpression": IF_ABSENT},',
        'CLAIM: {"Item": claim},',
        ("test_purchases", "test_recording"),
    ),
    Bug(
        "a request says where to return to",
        "_with_page",
        "try: page = create_page(client, purchase, customer=customer, shop=shop, now=request.now)",
        """
        from dataclasses import replace

        origin = request.headers.get("origin")
        try:
            page = create_page(
                client,
                purchase,
                customer=customer,
                shop=replace(shop, return_url=origin) if origin else shop,
                now=request.now,
            )
        """,
        ("test_links",),
    ),
    Bug(
        "what the webhook puts aside sounds no alarm",
        "receive",
        "on_quarantine=on_quarantine,",
        "on_quarantine=lambda: None,",
        ("test_webhook_purchases",),
    ),
)
