"""Bugs in the expiry sweep."""

from tests.planted_bugs.bug import Bug

SWEEP = (
    Bug(
        "the sweep skips the row after a page",
        "read_due",
        r'first=place.after + "\x00",',
        'first=place.after + "~",',
        ("store/test_sweep",),
    ),
    Bug(
        "a row goes before its lot's end is recorded",
        "_record",
        "append(table, row.account, Settle(), catalog=context.catalog, now=context.now)",
        "",
        ("store/test_sweep",),
    ),
    Bug(
        "the sweep never returns to what failed",
        "sweep",
        "failed += 1 checkpoint = _to_return(checkpoint)",
        "failed += 1",
        ("store/test_sweep",),
    ),
    Bug(
        "a sweep out of time passes the rows that it left",
        "_after_page",
        "if outcomes.get(row) == LEFT: break",
        "",
        ("store/test_sweep_at_once",),
    ),
    Bug(
        "an account's rows are spread over threads",
        "_record_due",
        "[list(account_rows) for _, account_rows in groupby(rows, key=lambda row: row.account)]",
        "[[row] for row in rows]",
        ("store/test_sweep_at_once",),
    ),
    Bug(
        "the sweep closes a day too early",
        "sweep",
        "first_open_day = today - timedelta(days=1)",
        "first_open_day = today + timedelta(days=1)",
        ("store/test_sweep",),
    ),
    Bug(
        "the sweep works until it is stopped",
        "expiry_sweep:run",
        "context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS",
        "context.get_remaining_time_in_millis() > 0",
        ("test_expiry_sweep",),
    ),
)
