"""Bugs in monthly statements."""

from tests.planted_bugs.bug import Bug

STATEMENTS = (
    Bug(
        "an entry at midnight belongs to the month before",
        "statements_of",
        "entry.at < day_start(following, zone)",
        "entry.at <= day_start(following, zone)",
        ("core/test_statement", "property/test_statements"),
    ),
    Bug(
        "a month's end is in the zone that the account moved to",
        "statements_of",
        "if entry.at < zone_decided_at: zone = entry.after.terms.time_zone",
        "zone = entry.after.terms.time_zone",
        ("core/test_statement", "property/test_statements"),
    ),
    Bug(
        "a month is closed at its end",
        "is_closed",
        "now >= statement.ends_at + CLOSES_AFTER",
        "now >= statement.ends_at",
        ("core/test_statement",),
    ),
    Bug(
        "credits that came back count as taken",
        "moves_of",
        'if line == "taken_back" and credits > 0: line = "returned"',
        "",
        ("core/test_statement",),
    ),
    Bug(
        "settled debt is taken from the purchase",
        "moves_of",
        "credits -= entry.owed",
        "",
        ("core/test_statement",),
    ),
    Bug(
        "the current month is stored",
        "statements_between",
        "statement.month not in by_month and is_closed(statement, now)",
        "statement.month not in by_month",
        ("store/test_statements",),
    ),
    Bug(
        "a statement may be overwritten",
        "record_statement",
        '"ConditionExpression": IF_ABSENT',
        "",
        ("store/test_statements",),
    ),
    Bug(
        "the verifier doesn't recompute a statement",
        "statement_rows:check",
        "if computed != statement:",
        "if False:",
        ("store/test_statements",),
    ),
    Bug(
        "the verifier overlooks an entry after a statement's last",
        "_facts",
        "(next_entry is None or next_entry.at >= statement.ends_at)",
        "True",
        ("store/test_statements",),
    ),
)
