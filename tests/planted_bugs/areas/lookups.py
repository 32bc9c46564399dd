"""Bugs in look-ups, quotes, batches and the list of accounts."""

from tests.planted_bugs.bug import Bug

LOOKUPS = (
    Bug(
        "a look-up returns entries that are no consumptions",
        "consumptions:_found",
        'if entry is None or entry.type != "consumption":',
        "if entry is None:",
        ("functions/test_looking_up",),
    ),
    Bug(
        "a look-up fails for the key of a purchase",
        "find_by_key",
        'if claim is None or "number" not in claim:',
        "if claim is None:",
        ("functions/test_looking_up",),
    ),
    Bug(
        "a missing account looks like a missing consumption",
        "consumptions:_found",
        "read_tail(deps.table, account_id)",
        "pass",
        ("functions/test_looking_up",),
    ),
    Bug(
        "an id is read without its kind",
        "CONSUMPTION_ID",
        'r"con_([0-9]{12})"',
        'r"[a-z]{3}_([0-9]{12})"',
        ("functions/test_looking_up",),
    ),
    Bug(
        "a quote does not see what time has done",
        "core:quote",
        "entry = apply(account, debit, catalog=catalog, now=now)[-1]",
        "entry = apply(account, debit, catalog=catalog, now=account.at)[-1]",
        ("functions/test_quotes",),
    ),
    Bug(
        "a quote counts what the account has as missing",
        "quote_answer",
        "refusal.needed - refusal.available if refusal else 0",
        "refusal.needed if refusal else 0",
        ("functions/test_quotes",),
    ),
    Bug(
        "a quote's units of quota are its quantity",
        "core:quote",
        "return Quote(credits=-entry.credits, quota=-entry.quota, draws=entry.draws)",
        "return Quote(credits=-entry.credits, quota=debit.quantity, draws=entry.draws)",
        ("functions/test_quotes",),
    ),
)
