"""Prepaid: credits that are bought, granted, spent and expire, kept on one append-only ledger an account.

core      the rules, pure: (account, operation, catalog, now) -> entries
store     the rules' memory: the only part that knows DynamoDB
payments  the only part that knows Stripe
api       the only part that knows HTTP
"""
