"""Bugs in how a manager enters the subscription page and leaves it."""

from tests.planted_bugs.bug import Bug

PAGE = (
    Bug(
        "a used link shows its form again",
        "is_link_open",
        "return link.session is None and now < link.expires_at",
        "return now < link.expires_at",
        ("test_portal_entering",),
    ),
    Bug(
        "a used link opens another session",
        "record_entry",
        '"ConditionExpression": "attribute_exists(PK) AND attribute_not_exists(opened)"',
        '"ConditionExpression": "attribute_exists(PK)"',
        ("test_entering",),
    ),
    Bug(
        "an expired link says that it was used",
        "open_link",
        "if link is None or now >= link.expires_at:",
        "if link is None:",
        ("test_portal_entering",),
    ),
    Bug(
        "a link lasts as long as a session",
        "make_link",
        "expires_at=now + timedelta(minutes=LINK_MINUTES),",
        "expires_at=now + timedelta(minutes=30),",
        ("test_portal_entering",),
    ),
    Bug(
        "any code opens the page",
        "enter",
        "checked = compare(table, link.account, code, codes, now=now)",
        "checked = read_code(table, link.account)",
        ("test_portal_entering",),
    ),
    Bug(
        "a code that was changed meanwhile opens the page",
        "record_entry",
        "MANAGER: manager,",
        "",
        ("test_entering",),
    ),
    Bug(
        "a code with a typing error is a try",
        "typed_code",
        "return code if CODE.fullmatch(code) else None",
        "return code or None",
        ("test_portal_entering",),
    ),
    Bug(
        "a link's key makes another link with another request",
        "link_claim_from_item",
        """
        if bytes(item["request_hash"]["B"]) != request_hash:
            raise IdempotencyKeyReused
        """,
        "",
        ("test_entering",),
    ),
    Bug(
        "a form of another site is accepted",
        "form_of",
        "_check_same_origin(request, portal)",
        "",
        ("test_portal_entering",),
    ),
    Bug(
        "a form of a neighbouring site is accepted",
        "_check_same_origin",
        'if site != "same-origin":',
        'if site == "cross-site":',
        ("test_portal_entering",),
    ),
    Bug(
        "a form of another session is accepted",
        "leave",
        'check_form_token(fields, signed.token, "leave")',
        "",
        ("test_portal_entering",),
    ),
    Bug(
        "a changed code keeps the page's session",
        "is_session_open",
        "return idle < IDLE and lasted < LONGEST and session.code_version == code_version",
        "return idle < IDLE and lasted < LONGEST",
        ("test_portal_entering",),
    ),
    Bug(
        "a session on the page never ends while it is used",
        "is_session_open",
        "return idle < IDLE and lasted < LONGEST and",
        "return idle < IDLE and",
        ("test_portal_entering",),
    ),
    Bug(
        "a session on the page outlives its last use",
        "is_session_open",
        "return idle < IDLE and lasted < LONGEST and",
        "return lasted < LONGEST and",
        ("test_portal_entering",),
    ),
    Bug(
        "leaving removes the cookie only",
        "leave",
        "delete_session(deps.table, token_digest(signed.token))",
        "",
        ("test_portal_entering",),
    ),
    Bug(
        "a script can read the cookie",
        "_cookie",
        'return f"{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={max_age_seconds}"',
        'return f"{COOKIE}={value}; Path=/; Secure; SameSite=Lax; Max-Age={max_age_seconds}"',
        ("test_portal_entering",),
    ),
    Bug(
        "the language form leads to other sites",
        "change_language",
        'back if re.fullmatch(r"/portal(/[\\w./?=&%-]*)?", back, re.ASCII) else "/portal"',
        "back",
        ("test_portal_entering",),
    ),
    Bug(
        "entering anew leaves the session before open",
        "enter",
        "delete_session(table, token_digest(instead_of))",
        "pass",
        ("test_portal_entering",),
    ),
    Bug(
        "a wrong code ends the session before",
        "submit_code",
        "previous_token = session_token(request)",
        """
        previous_token = session_token(request)
        delete_session(deps.table, token_digest(previous_token or ""))
        """,
        ("test_portal_entering",),
    ),
    Bug(
        "an error page greets whoever has an ended session",
        "is_session_open",
        "return idle < IDLE and lasted < LONGEST and session.code_version == code_version",
        "return True",
        ("test_portal_errors",),
    ),
    Bug(
        "an old payment that is awaited is not shown",
        "_purchases",
        "return (*recent, *older)",
        "return recent",
        ("test_portal_errors",),
    ),
    Bug(
        "each view reads all that the account ever bought",
        "visits:_purchases",
        "for _ in range(OLDER_PAGES):",
        "while True:",
        ("test_portal_errors",),
    ),
    Bug(
        "another address has no security headers",
        "html",
        'headers={"Content-Type": "text/html; charset=utf-8", **security_headers(portal), **(headers or {})},',
        'headers={"Content-Type": "text/html; charset=utf-8", **(headers or {})},',
        ("test_portal_errors",),
    ),
    Bug(
        "a link leads back to any site",
        "_check_return_url",
        "if not plain or _origin(return_url) not in allowed:",
        "if not plain:",
        ("test_portal_entering",),
    ),
)
