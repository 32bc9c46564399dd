"""The key of an item of every kind that the table can hold."""

from datetime import UTC, date, datetime

from prepaid.store import keys

PARTITIONS = [
    keys.entry("petshop-1", 1),
    keys.profile("petshop-1"),
    keys.listed("petshop-1"),
    keys.purchase("petshop-1", "pur_1"),
    keys.reversed_units("petshop-1", 42),
    keys.customer("petshop-1"),
    keys.manager("petshop-1"),
    keys.manager_session("5d41402a"),
    keys.portal_link("5d41402a"),
    keys.portal_session("5d41402a"),
    keys.pending_check(datetime(2026, 11, 22, tzinfo=UTC), "pur_1"),
    keys.claim("petshop-1", "key-1"),
    keys.waiting_row("petshop-1", 1, 1_795_305_600_000, "5d41402a"),
    keys.erasure("petshop-1", "key-1"),
    keys.due(date(2026, 11, 22), 0, "petshop-1", "lot_1"),
    keys.payment("pi_1"),
    keys.statement("petshop-1", date(2026, 11, 1)),
    keys.quarantine("pi_1#amount"),
    keys.catalog_version(1),
    keys.CATALOG,
    keys.CHECKPOINT,
    keys.RECONCILIATION,
    keys.VERIFICATION,
    keys.RECENT_VERIFICATION,
    keys.verified("petshop-1"),
    keys.audit("petshop-1"),
    keys.failed("evt_1"),
    keys.WARNINGS,
    keys.HEALING,
    keys.PUBLISHING,
    keys.published("petshop-1"),
    keys.published_alert("petshop-1", "evt_1"),
    keys.feed(datetime(2026, 11, 22, tzinfo=UTC), "petshop-1#1"),
    keys.WEBHOOK_STOPPED,
]
