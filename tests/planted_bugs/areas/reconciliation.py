"""Bugs in the reconciliation."""

from tests.planted_bugs.bug import Bug

RECONCILIATION = (
    Bug(
        "one event that fails holds up the reconciliation",
        "_check",
        """
        run.outcomes["failed"] += 1
        return None
        """,
        """
        run.outcomes["failed"] += 1
        raise
        """,
        ("test_reconciliation", "test_interrupted_reconciliation"),
    ),
    Bug(
        "what failed is not kept",
        "_check",
        "save_failed_check(context.piece(), name, values, context.now)",
        "",
        ("test_reconciliation", "test_interrupted_reconciliation"),
    ),
    Bug(
        "events of the last hour are missed",
        "_follow_events",
        "since=checkpoint.since - OVERLAP",
        "since=checkpoint.since + OVERLAP",
        ("test_reconciliation", "test_interrupted_reconciliation"),
    ),
    Bug(
        "each try of what failed counts as the first",
        "save_failed_check",
        '"first_at": earlier["first_at"] if earlier else {"N": str(milliseconds(now))},',
        '"first_at": {"N": str(milliseconds(now))},',
        ("test_reconciliation", "test_interrupted_reconciliation"),
    ),
    Bug(
        "purchases are checked before they are due",
        "read_pending_checks",
        'first="0", last=keys.pending_check_sort(due, keys.HIGHEST)',
        'first="0", last=keys.HIGHEST',
        ("test_reconciliation", "test_interrupted_reconciliation"),
    ),
    Bug(
        "the reconciliation forgets where in its span it was",
        "save_checkpoint",
        '"event": {"S": checkpoint.event},',
        '"event": {"S": ""},',
        ("test_reconciliation", "test_interrupted_reconciliation"),
    ),
    Bug(
        "the reconciliation works until it is stopped",
        "reconcile:run",
        "context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS",
        "context.get_remaining_time_in_millis() > 0",
        ("test_reconciliation", "test_interrupted_reconciliation"),
    ),
    Bug(
        "a run that continues counts as one of now",
        "reconciling:reconcile",
        "until = checkpoint.until or context.now",
        "until = context.now",
        ("test_a_run_that_continues_hours_later_misses_no_event",),
    ),
)
