"""Prepaid: credits that are bought, granted, spent and expire, on one append-only ledger per account.

core       the rules, pure: (account, operation, catalog, now) -> entries
store      persistence: the only package that calls DynamoDB
payments   the only package that calls Stripe
messaging  the event bus, the queue of the webhook, and the request to the webhook
use_cases  what the service does, one module per feature
api        the HTTP API; api/http has what the API and the page share
portal     the subscription page: HTML for managers
deps       the dependencies of each handler; wiring builds them from settings and portal_config
aws        opens AWS's clients
telemetry  the log and the metrics
"""

import gc

# A starting function creates about 250,000 objects and discards none. With Python's default threshold of 2,000 the
# garbage collector would scan them about forty times.
gc.set_threshold(300_000, 10, 10)
