"""Bugs in the manager's code and its sessions."""

from tests.planted_bugs.bug import Bug

MANAGER_CODE = (
    Bug(
        "six tries",
        "reserve_try",
        "if code.tries < MAX_TRIES:",
        "if code.tries <= MAX_TRIES:",
        ("test_manager",),
    ),
    Bug(
        "locks don't grow",
        "reserve_try",
        "return replace(code, tries=1, locks=code.locks + 1,",
        "return replace(code, tries=1, locks=code.locks,",
        ("test_manager",),
    ),
    Bug(
        "a changed code leaves its sessions open",
        "is_usable",
        "now < session.expires_at and session.code_version == code_version",
        "now < session.expires_at",
        ("test_manager",),
    ),
    Bug(
        "a session serves every account",
        "is_usable",
        "return session.account == account and now < session.expires_at",
        "return now < session.expires_at",
        ("test_manager",),
    ),
    Bug(
        "tries are taken without a condition",
        "code_put",
        """
        "ConditionExpression": "revision = :seen",
        "ExpressionAttributeValues": {":seen": {"N": str(over.revision)}},
        """,
        "",
        (
            "test_manager_codes",
            "test_manager_locks",
            "test_manager_sessions",
        ),
    ),
    Bug(
        "a session is spent twice",
        "use_session_put",
        '"ConditionExpression": "attribute_not_exists(purchase)",',
        "",
        ("test_purchases", "test_recording", "test_manager_codes", "test_manager_locks", "test_manager_sessions"),
    ),
    Bug(
        "the key is looked up before the code is right",
        "open_session",
        "compare(table, account_id, code, codes, now=now)",
        "read_code(table, account_id)",
        ("test_manager_codes", "test_manager_locks", "test_manager_sessions", "test_manager_code"),
    ),
    Bug(
        "a code changed at the last moment doesn't matter",
        "code_unchanged",
        """
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {":version": {"N": str(version)}},
        """,
        '"ConditionExpression": "attribute_exists(PK)",',
        ("test_purchases", "test_recording", "test_manager_codes", "test_manager_locks", "test_manager_sessions"),
    ),
    Bug(
        "a client that may buy sets the code anew",
        "put_code",
        "if body.current_code is None and ADMIN_SCOPE not in caller_of(request).scopes:",
        "if body.current_code is None and not caller_of(request).scopes:",
        ("test_scopes",),
    ),
    Bug(
        "a part of a scope's name is the scope",
        "put_code",
        "ADMIN_SCOPE not in caller_of(request).scopes:",
        'ADMIN_SCOPE not in " ".join(caller_of(request).scopes):',
        ("test_scopes",),
    ),
    Bug(
        "a code's digest is guessed byte by byte",
        "approving:compare",
        "if not hmac.compare_digest(code_digest(code, checked.salt, codes), checked.digest):",
        "if code_digest(code, checked.salt, codes) != checked.digest:",
        ("test_constant_time",),
    ),
)
