"""Publishing: the events of an account's entries, in the ledger's order (rule 20)."""

from dataclasses import dataclass

from prepaid.core.catalog import Catalog
from prepaid.core.errors import InvalidRequest
from prepaid.core.events import Event, events_of
from prepaid.store.catalog import read_catalog_version
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import next_entries, read_tail


@dataclass(frozen=True, slots=True)
class EventPage:
    """events: of whole entries, in order. last: the number of the last of these entries; as asked for, without any."""

    events: tuple[Event, ...]
    last: int


def events_after(table: Table, account_id: str, after: int, *, limit: int, catalog: Catalog) -> EventPage:
    """The events of at most `limit` entries that follow entry `after`; 0 for the first ones.

    catalog: any version. Raises AccountNotFound, InvalidRequest when the account has no entry `after` yet, Busy.
    """
    # Alerts compare the account after an entry with the account before it, which the previous entry carries.
    entries = next_entries(table, account_id, first=max(after, 1), limit=limit + min(after, 1))
    if not entries:
        newest = read_tail(table, account_id).entry.number
        raise InvalidRequest((("after", f"must be at most {newest}, the number of the account's newest entry"),))
    catalogs = {catalog.version: catalog}
    before = entries[0].after if after else None
    events: list[Event] = []
    for entry in entries[1:] if after else entries:
        version = entry.catalog_version
        if version not in catalogs:
            catalogs[version] = read_catalog_version(table, version)
        events += events_of(before, entry, catalogs[version])
        before = entry.after
    return EventPage(tuple(events), entries[-1].number)
