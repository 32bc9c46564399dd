"""Every catalog version stays readable: a field that was added later has a default."""

from prepaid.store.catalog import catalog_from

# The fields of the first format. Stored versions have these, or more.
OLDEST = {
    "version": 2,
    "features": [{"id": "sticker", "price": 1}],
    "plans": [{"id": "none", "quotas": {}}],
    "packs": [
        {"id": "one", "credits": 1, "amount": 100, "currency": "brl", "valid_months": 12, "active": True},
    ],
}


def test_a_catalog_in_the_first_format_is_read() -> None:
    catalog = catalog_from(OLDEST)

    assert (catalog.version, catalog.active_feature("sticker").price) == (2, 1)
    assert (catalog.plan("none").quotas, catalog.pack_on_sale("one", "brl").amount) == ({}, 100)
