"""Prepaid: credits that are bought, granted, spent and expire, kept on one append-only ledger an account.

core      the rules, pure: (account, operation, catalog, now) -> entries
store     the rules' memory: the only part that knows DynamoDB
payments  the only part that knows Stripe
api       the only part that knows HTTP
"""

import gc

# A starting function makes objects and drops none. Python's own threshold, 2,000, has it search them for garbage some
# forty times, which costs a sixth of a cold start.
gc.set_threshold(50_000, 10, 10)
