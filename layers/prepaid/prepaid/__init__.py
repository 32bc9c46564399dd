"""Prepaid: credits that are bought, granted, spent and expire, kept on one append-only ledger an account.

core      the rules, pure: (account, operation, catalog, now) -> entries
store     the rules' memory: the only part that knows DynamoDB
payments  the only part that knows Stripe
api       the only part that knows HTTP
"""

import gc

# A starting function makes a quarter of a million objects and drops none. Python's own threshold, 2,000, has it search
# them for garbage some forty times.
gc.set_threshold(300_000, 10, 10)
