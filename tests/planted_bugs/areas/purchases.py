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
        "refunds add up with every fetch",
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
        "purchase_put",
        """
        "ConditionExpression": "version = :seen",
        "ExpressionAttributeValues": {":seen": {"N": str(purchase.version - 1)}},
        """,
        "",
        ("test_purchases", "test_recording", "store/test_money_back", "test_money_back_races"),
    ),
    Bug(
        "one payment pays for two purchases",
        "payment_put",
        '"ConditionExpression": IF_ABSENT,',
        "",
        ("test_purchases", "test_recording"),
    ),
    Bug(
        "the provider is asked before the record is read",
        "sync_purchase",
        """
        purchase = _read(sync.table, ref)
        status = fetch(ref)
        """,
        """
        status = fetch(ref)
        purchase = _read(sync.table, ref)
        """,
        ("test_money_back_races",),
    ),
    Bug(
        "Stripe is asked after the deadline",
        "sessions:request",
        "if self._is_late():",
        "if False:",
        ("simulation/test_deadlines",),
    ),
    Bug(
        "no payment is fetched again after a write",
        "sync_purchase",
        'case "done":',
        'case "done" | "confirm":',
        ("test_money_back_races",),
    ),
    Bug(
        "a rival's late spend is taken for expired",
        "_is_outdated",
        "return moved and any(_has_ended(lot, draft.entries[-1].at) for lot in before.lots)",
        "return False",
        ("store/test_money_back",),
    ),
    Bug(
        "a payment isn't fetched again after a refund",
        "_carry_out",
        """
        if was_granted:
            return _Attempt("confirm", changed)
        """,
        """
        if was_granted:
            return _Attempt("done", changed)
        """,
        ("store/test_money_back",),
    ),
    Bug(
        "a refund that the ledger overtook is dropped",
        "_carry_out",
        'return _Attempt("overtaken", changed)',
        'return _Attempt("done", changed)',
        ("store/test_money_back",),
    ),
    Bug(
        "a retry of a purchase needs its session again",
        "buying:buy",
        """
        purchase = find_purchase_by_key(table, order.account, order.idempotency_key, order.pack)
        replayed = purchase is not None
        """,
        """
        session = require_session(table, order.account, order.manager_session, now=now)
        purchase = find_purchase_by_key(table, order.account, order.idempotency_key, order.pack)
        replayed = purchase is not None
        """,
        ("functions/test_buying",),
    ),
    Bug(
        "what doesn't fit is granted",
        "_apply",
        "if purchase is None or status is None or differences:",
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
        "purchases:buy",
        "body = body_of(request, PurchaseRequest)",
        """
        from dataclasses import replace

        body = body_of(request, PurchaseRequest)
        if "origin" in request.headers:
            deps = replace(deps, checkout=replace(deps.checkout, return_url=request.headers["origin"]))
        """,
        ("test_links",),
    ),
    Bug(
        "what the webhook quarantines sounds no alarm",
        "receive",
        "on_quarantine=lambda _: count(Metric.PURCHASE_QUARANTINED, 1),",
        "on_quarantine=lambda _: None,",
        ("test_webhook_purchases",),
    ),
    Bug(
        "another stack's sales are quarantined",
        "_find_owner",
        "if status.other_stack: return None",
        "",
        ("test_shared_stripe_account",),
    ),
    Bug(
        "an abandoned page is quarantined",
        "_apply",
        """
        if not has_moved_money(purchase, status):
            return _Attempt("ignored")
        """,
        "",
        ("test_shared_stripe_account",),
    ),
    Bug(
        "each alarm about a payment is a row of its own",
        "_quarantine",
        """
        if is_quarantined(sync.table, misfit):
            return False
        """,
        "",
        ("test_shared_stripe_account",),
    ),
    Bug(
        "a misfit is stored before it is reported",
        "_quarantine",
        """
        sync.on_quarantine(misfit.ref.purchase if reason == RECONCILIATION else reason)
        quarantine(sync.table, misfit, reason, sync.now)
        """,
        """
        quarantine(sync.table, misfit, reason, sync.now)
        sync.on_quarantine(misfit.ref.purchase if reason == RECONCILIATION else reason)
        """,
        ("test_shared_stripe_account",),
    ),
    Bug(
        "the event's metadata counts, not the session's",
        "_find_owner",
        "named = PurchaseRef(account=status.account, purchase=status.purchase)",
        "named = ref",
        ("test_edited_metadata",),
    ),
    Bug(
        "a page without metadata is nobody's",
        "_find_owner",
        "by_payment = _named_by_payment(sync, status)",
        "by_payment = None",
        ("test_edited_metadata",),
    ),
    Bug(
        "a cancelled purchase's page stays open",
        "_close",
        "status = close_page(client, session)",
        'status = "expired"',
        ("test_cancelling",),
    ),
    Bug(
        "a purchase with a voucher is cancelled",
        "_close",
        """
        if status != "expired":
            raise PurchaseNotCancellable
        """,
        "",
        ("test_cancelling",),
    ),
    Bug(
        "the event of a closed page undoes a cancellation",
        "next_step",
        """
        if state == "expired" and purchase.cancelling:
            state = "cancelled"
        """,
        "",
        ("test_cancelling",),
    ),
    Bug(
        "a replay of a cancellation at the same moment isn't marked",
        "cancelling:cancel",
        "purchase = read_purchase(table, request.account, request.purchase)",
        """
        find_cancelled_by_key(table, request.account, request.idempotency_key, request.purchase)
        purchase = read_purchase(table, request.account, request.purchase)
        if purchase and purchase.cancel_key:
            return Cancelled(purchase, replayed=False)
        """,
        ("test_cancelling",),
    ),
    Bug(
        "a refused cancellation is remembered",
        "_close",
        "status = read_page_status(client, session)",
        'status = "open"',
        ("test_cancelling",),
    ),
    Bug(
        "a cancellation's key begins another request",
        "record_cancellation",
        'CLAIM: {"Item": claim, "ConditionExpression": IF_ABSENT}',
        "",
        ("test_cancelling",),
    ),
    Bug(
        "a purchase's entry says stripe began it",
        "grant_of",
        "actor=purchase.requested_by,",
        "actor=ACTOR,",
        ("test_webhook_purchases",),
    ),
)
