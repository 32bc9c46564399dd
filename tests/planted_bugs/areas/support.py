"""Bugs in what support uses: an account's status, its threshold."""

from tests.planted_bugs.bug import Bug

SUPPORT = (
    Bug(
        "a closed account spends",
        "require_active",
        'if terms.status == "closed":\n    raise AccountClosed',
        "",
        ("test_account_status",),
    ),
    Bug(
        "a frozen account spends",
        "drawing:charge",
        "require_active(account.terms)",
        "",
        ("test_account_status",),
    ),
    Bug(
        "a frozen account buys",
        "buying:buy",
        "require_active(terms)",
        "pass",
        ("test_account_status",),
    ),
    Bug(
        "a purchase without a page gets one on a frozen account",
        "buying:buy",
        "if purchase is None or purchase.checkout_url is None:",
        "if purchase is None:",
        ("test_account_status",),
    ),
    Bug(
        "a frozen account's old purchase isn't answered",
        "buying:buy",
        "if purchase is None or purchase.checkout_url is None:",
        "if True:",
        ("test_account_status",),
    ),
    Bug(
        "a frozen account opens manager sessions",
        "open_session",
        'if terms.status != "active":',
        "if False:",
        ("test_account_status",),
    ),
    Bug(
        "a frozen account's right code counts as a wrong one",
        "approving:open_session",
        "used = read_session_claim(table, account_id, idempotency_key)\n_clear_tries(table, account_id, checked)",
        "used = read_session_claim(table, account_id, idempotency_key)",
        ("test_account_status",),
    ),
    Bug(
        "a frozen account's features can be used, says the balance",
        "units_left",
        'if not feature.active or account.terms.status != "active":',
        "if not feature.active:",
        ("test_account_status",),
    ),
    Bug(
        "a nightly PUT reopens accounts",
        "KEPT_BY_PUT",
        '("currency", "status")',
        '("currency",)',
        ("test_account_status",),
    ),
    Bug(
        "a closed account is stored as frozen",
        "terms_to_row",
        "return [*row, terms.low_credit_threshold, terms.status]",
        'return [*row, terms.low_credit_threshold, "frozen"]',
        ("test_account_status",),
    ),
    Bug(
        "a threshold of its own is forgotten",
        "terms_to_row",
        "if terms.low_credit_threshold != DEFAULT_LOW_CREDIT_THRESHOLD",
        "if terms.low_credit_threshold > DEFAULT_LOW_CREDIT_THRESHOLD",
        ("test_account_changes",),
    ),
    Bug(
        "the page of a frozen account sells packs",
        "visits:page",
        'visit.account.terms.status == "active"',
        "True",
        ("test_portal_status",),
    ),
)
