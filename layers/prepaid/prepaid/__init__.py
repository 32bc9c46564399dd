"""Prepaid: credits that are bought, granted, spent and expire, kept on one append-only ledger an account.

core       the rules, pure: (account, operation, catalog, now) -> entries
store      persistence: the only part that calls DynamoDB
payments   the only part that calls Stripe
use_cases  what the service does: plain arguments in, results out
api        the only part that knows HTTP
deps       what a handler works with; wiring builds it from settings
telemetry  the log and the metrics
"""

import gc

# A starting function makes a quarter of a million objects and drops none. Python's own threshold, 2,000, has it search
# them for garbage some forty times.
gc.set_threshold(300_000, 10, 10)
