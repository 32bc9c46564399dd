"""Every key of the table. No other module builds keys."""

from datetime import UTC, date, datetime

DUE_SHARDS = 8
SESSION_PREFIX = "SESSION#"
PENDING_CHECKS = "PENDING_CHECK"
ACCOUNTS = "ACCOUNTS"
ENTRY_PREFIX = "ENTRY#"
REVERSED_PREFIX = "REVERSED#"
PURCHASE_ROW_PREFIX = "PURCHASE#"
MANAGER = "MANAGER"
PUBLISHED = "PUBLISHED"
ALERT_PREFIX = "ALERT#"
# After every sort key.
HIGHEST = "\U0010ffff"

CATALOG = {"PK": {"S": "CATALOG"}, "SK": {"S": "CURRENT"}}
RECONCILIATION = {"PK": {"S": "RECONCILIATION"}, "SK": {"S": "CHECKPOINT"}}
VERIFICATION = {"PK": {"S": "VERIFICATION"}, "SK": {"S": "CHECKPOINT"}}
RECENT_VERIFICATION = {"PK": {"S": "VERIFICATION"}, "SK": {"S": "RECENT"}}
CHECKPOINT = {"PK": {"S": "SWEEP"}, "SK": {"S": "CHECKPOINT"}}
PUBLISHING = {"PK": {"S": "PUBLISHING"}, "SK": {"S": "START"}}
WARNINGS = {"PK": {"S": "PUBLISHING"}, "SK": {"S": "WARNINGS"}}
HEALING = {"PK": {"S": "PUBLISHING"}, "SK": {"S": "HEALING"}}
WEBHOOK_STOPPED = {"PK": {"S": "WEBHOOK"}, "SK": {"S": "STOPPED"}}

type Key = dict[str, dict[str, str]]


def ledger(account: str) -> str:
    """The partition of an account: its entries, profile and purchases."""
    return f"ACCOUNT#{account}"


def entry_sort(number: int) -> str:
    """Zero-padded, so that the newest entry is last in the partition's ENTRY# range."""
    return f"{ENTRY_PREFIX}{number:012d}"


PURCHASES_BY_STATE = "PurchasesByState"


def purchases_in(state: str) -> str:
    """The partition of the index PURCHASES_BY_STATE with the purchases in this state."""
    return f"PURCHASES#{state}"


LAST_ENTRY = entry_sort(999_999_999_999)


def entry(account: str, number: int) -> Key:
    return _key(ledger(account), entry_sort(number))


def entry_number(sort: str) -> int:
    return int(sort.removeprefix(ENTRY_PREFIX))


def waiting(account: str) -> str:
    """The partition of the debits of an account that wait to be appended."""
    return f"WAIT#{account}"


def waiting_sort(place: int) -> str:
    """Sorts before all rows whose requests knew entry `place`, or a later one, as the newest."""
    return f"{place:012d}"


LAST_WAITING = waiting_sort(999_999_999_999)


def waiting_row(account: str, place: int, now: int, digest: str) -> Key:
    """Rows are in the order of the newest entries that their requests knew, then of the requests' times."""
    return _key(waiting(account), f"{waiting_sort(place)}#{now:013d}#{digest}")


def claim(account: str, idempotency_key: str) -> Key:
    # Account ids contain no '#', so no account and key can produce another account's claim key.
    return _key(f"CLAIM#{account}#{idempotency_key}", "CLAIM")


def erasure(account: str, idempotency_key: str) -> Key:
    return _key(f"ERASURE#{account}#{idempotency_key}", "ERASURE")


def profile(account: str) -> Key:
    return _key(ledger(account), "PROFILE")


def listed(account: str) -> Key:
    """The account's row in the list of all accounts, which is one partition, in the order of their ids."""
    return _key(ACCOUNTS, account)


def customer(account: str) -> Key:
    return _key(ledger(account), "CUSTOMER")


def manager(account: str) -> Key:
    return _key(ledger(account), MANAGER)


def manager_session(digest: str) -> Key:
    return _key(f"{SESSION_PREFIX}{digest}", "SESSION")


def portal_link(digest: str) -> Key:
    return _key(f"PORTAL_LINK#{digest}", "PORTAL_LINK")


def portal_session(digest: str) -> Key:
    return _key(f"PORTAL#{digest}", "PORTAL")


def pending_check(due: datetime, purchase_id: str) -> Key:
    return pending_check_row(pending_check_sort(due, purchase_id))


def pending_check_row(sort: str) -> Key:
    return _key(PENDING_CHECKS, sort)


def pending_check_sort(due: datetime, purchase_id: str) -> str:
    """Sorted by time: due checks are at the beginning of the partition."""
    return f"{due.astimezone(UTC).isoformat(timespec='milliseconds')}#{purchase_id}"


def failed(what: str) -> Key:
    return _key(RECONCILIATION["PK"]["S"], failed_sort(what))


def failed_sort(what: str) -> str:
    return f"FAILED#{what}"


def purchase(account: str, purchase_id: str) -> Key:
    return _key(ledger(account), purchase_sort(purchase_id))


def purchase_sort(purchase_id: str) -> str:
    """Purchase ids begin with their time, so the newest purchase is last in the partition's PURCHASE# range."""
    return f"{PURCHASE_ROW_PREFIX}{purchase_id}"


def reversed_units(account: str, number: int) -> Key:
    return _key(ledger(account), f"{REVERSED_PREFIX}{number:012d}")


def statements(account: str) -> str:
    """The partition of an account's statements. Not the ledger's, because the functions that write statements have no
    permission to write there."""
    return f"STATEMENT#{account}"


def statement_sort(month: date) -> str:
    return f"{month:%Y-%m}"


def statement(account: str, month: date) -> Key:
    return _key(statements(account), statement_sort(month))


def payment(payment_id: str) -> Key:
    return _key(f"PAYMENT#{payment_id}", "PAYMENT")


def quarantine(misfit: str) -> Key:
    return _key("QUARANTINE#payments", misfit)


def catalog_version(version: int) -> Key:
    return _key("CATALOG", f"V#{version:06d}")


def verified(account: str) -> Key:
    return _key(f"VERIFIED#{account}", "VERIFIED")


def published(account: str) -> Key:
    """How far the account's entries are published. Not in the ledger's partition, because the publisher has no
    permission to write there."""
    return _key(f"PUBLISHED#{account}", PUBLISHED)


def published_alert(account: str, event_id: str) -> Key:
    return _key(f"PUBLISHED#{account}", f"{ALERT_PREFIX}{event_id}")


def feed_partition(hour: datetime) -> str:
    """The partition of what was published in this hour, UTC."""
    return f"FEED#{hour.astimezone(UTC):%Y-%m-%dT%H}"


def feed(published_at: datetime, what: str) -> Key:
    return _key(feed_partition(published_at), feed_sort(published_at, what))


def feed_sort(published_at: datetime, what: str) -> str:
    """Sorted by time, to the millisecond. what: an account and its entry or alert."""
    return f"{published_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{published_at.microsecond // 1000:03d}#{what}"


def audit(account: str) -> Key:
    """Where the next recent pass continues. A row of its own, because the mark is read with each page."""
    return _key(f"VERIFIED#{account}", "AUDIT")


def split(partition: str) -> tuple[str, str]:
    """The kind of a partition, and the id that follows it."""
    kind, _, id_ = partition.partition("#")
    return kind, id_


def due_partition(day: date, shard: int) -> str:
    return f"DUE#{day.isoformat()}#{shard}"


def due(day: date, shard: int, account: str, what: str) -> Key:
    return _key(due_partition(day, shard), f"{account}#{what}")


def _key(partition: str, sort: str) -> Key:
    return {"PK": {"S": partition}, "SK": {"S": sort}}
