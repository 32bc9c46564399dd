"""Bugs in what the API reads and writes."""

from tests.planted_bugs.bug import Bug

API = (
    Bug(
        "a token for one account opens all",
        "account_of",
        "if not ACCOUNT_ID.fullmatch(account) or caller.account not in {None, account}:",
        "if not ACCOUNT_ID.fullmatch(account):",
        ("functions/test_spending", "test_who_is_asking"),
    ),
    Bug(
        "a lot that is used up was never bought",
        "void_grant",
        'if lot is None or lot.kind == "purchase":',
        "if lot is None:",
        ("test_voids",),
    ),
    Bug(
        "an unknown grant hides another use of its key",
        "void_grant",
        "find_replay(table, account_id, void, idempotency_key)",
        "",
        ("test_voids",),
    ),
    Bug(
        "a grant that isn't there reveals no missing account",
        "void_grant",
        "read_tail(table, account_id)",
        "",
        ("test_voids", "security/test_accounts"),
    ),
    Bug(
        "any id names a grant",
        "GRANT_OR_LOT_ID",
        'r"(?:gra|lot)_([0-9]{12})"',
        'r"[a-z]{3}_([0-9]{12})"',
        ("test_voids",),
    ),
    Bug(
        "a void's claim forgets whose grant it was",
        "request_hash",
        'if value is not None and name != "actor"',
        'if value is not None and name not in ("actor", "lot")',
        ("test_voids",),
    ),
    Bug(
        "a void in the history names no lot",
        "histories:_lot",
        "next((draw.lot for draw in entry.draws if isinstance(draw, LotDraw)), None)",
        "None",
        ("test_voids",),
    ),
    Bug(
        "a POST without a key",
        "idempotency_key_of",
        'raise KeyMissing("Send an Idempotency-Key header with every POST.")',
        'return "none"',
        ("functions/test_bad_input",),
    ),
    Bug(
        "a name twice in a body",
        "_once",
        "if len(names) < len(pairs):",
        "if False:",
        ("functions/test_bad_input",),
    ),
    Bug(
        "a replay is not marked",
        "created",
        '{"Idempotent-Replayed": "true"} if replayed else {}',
        "{}",
        ("functions/test_spending", "test_who_is_asking"),
    ),
    Bug(
        "an unknown error reveals its details",
        "INTERNAL",
        'lambda _: "Something went wrong on our side."',
        "repr",
        ("test_webhook_trouble",),
    ),
    Bug(
        "a cursor serves other filters",
        "_signature",
        ", *(part for item in sorted(filters.items()) for part in item)",
        "",
        ("functions/test_reading",),
    ),
    Bug(
        "a cursor serves other accounts",
        "_signature",
        "(listing, position, account, ",
        "(listing, position, ",
        ("functions/test_reading",),
    ),
    Bug(
        "a cursor serves other lists",
        "_signature",
        "(listing, position, account, ",
        "(position, account, ",
        ("functions/test_buying",),
    ),
    Bug(
        "a full last page has a next one",
        "show_all",
        "if len(purchases) > PAGE:",
        "if len(purchases) >= PAGE:",
        ("functions/test_buying",),
    ),
    Bug(
        "a time between two milliseconds is the earlier one",
        "parse_bound",
        "whole + timedelta(milliseconds=1) if FINER.search(text) else whole",
        "whole",
        ("functions/test_reading",),
    ),
    Bug(
        "a spreadsheet runs a description",
        "_cell",
        "if isinstance(value, str) and value.startswith(FORMULA_STARTS):",
        "if isinstance(value, str) and value.startswith(FORMULA_STARTS[1:]):",
        ("functions/test_reading",),
    ),
    Bug(
        "a day's history begins a line late",
        "read_page",
        "first = earlier.number + 1 if earlier else 1",
        "first = earlier.number + 2 if earlier else 1",
        ("functions/test_reading",),
    ),
    Bug(
        "a token bound to nothing opens all",
        "_bound_to",
        'return account if isinstance(account, str) else ""',
        "return (account or None) if isinstance(account, str) else None",
        ("security/test_accounts",),
    ),
    Bug(
        "a token for one account opens another one anew",
        "_account_to_put",
        """
        if caller_of(request).account not in {None, account_id}:
            raise AccountNotFound
        """,
        "caller_of(request)",
        ("security/test_accounts",),
    ),
    Bug(
        "a token for one account sells to all",
        "caller_for_every_account",
        """
        if caller.account is not None:
            raise Forbidden
        """,
        """
        if caller.account is None:
            raise Forbidden
        """,
        ("functions/test_spending", "test_who_is_asking"),
    ),
    Bug(
        "a cursor is believed",
        "read_cursor",
        "if not hmac.compare_digest(match[2], _signature(match[1], listing, account, filters, secret)):",
        "if not _signature(match[1], listing, account, filters, secret):",
        ("functions/test_reading",),
    ),
    Bug(
        "a cursor's signature is guessed byte by byte",
        "read_cursor",
        "if not hmac.compare_digest(match[2], _signature(match[1], listing, account, filters, secret)):",
        "if match[2] != _signature(match[1], listing, account, filters, secret):",
        ("test_constant_time",),
    ),
    Bug(
        "the body is verified before it is unpacked",
        "_raw_body",
        'body = b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()',
        "body = text.encode()",
        ("test_targets",),
    ),
    Bug(
        "a text breaks a line",
        "check_text",
        "if refused:",
        "if False:",
        ("test_links", "functions/test_texts"),
    ),
    Bug(
        "a C1 control passes as text",
        "REFUSED",
        r'r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffd\ud800-\udfff]"',
        r'r"[\x00-\x1f\x7f\u2028-\u202e\u2066-\u2069\ufffd\ud800-\udfff]"',
        ("functions/test_texts",),
    ),
    Bug(
        "a name without a visible character",
        "check_text",
        "if not VISIBLE.search(text):",
        "if not text.strip():",
        ("functions/test_texts",),
    ),
    Bug(
        "a type that the header rules out",
        "preferred",
        "if quality > 0:",
        "if quality >= 0:",
        ("test_media_types",),
    ),
    Bug(
        "a type by its name anywhere in the header",
        "history",
        'if preferred(request.headers.get("accept", ""), MEDIA_TYPES) == CSV:',
        'if CSV in request.headers.get("accept", ""):',
        ("functions/test_history_formats",),
    ),
    Bug(
        "a key breaks a line",
        "IDEMPOTENCY_KEY",
        'r"[!-~]{1,255}"',
        'r"[^ ]{1,255}"',
        ("test_links",),
    ),
    Bug(
        "the contract has no Retry-After for a locked code",
        "RETRIED",
        'frozenset({"busy", "code_locked", "payments_unavailable"})',
        'frozenset({"busy", "payments_unavailable"})',
        ("test_openapi",),
    ),
    Bug(
        "a locked code has no Retry-After",
        "PROBLEMS",
        """
        lambda _: "Too many wrong codes. Wait before trying again.",
        headers=lambda error: {"Retry-After": str(error.retry_after_seconds)},
        """,
        """
        lambda _: "Too many wrong codes. Wait before trying again.",
        """,
        ("test_openapi",),
    ),
)
