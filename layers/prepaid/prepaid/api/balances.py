"""Reading what an account has, now or at any time since it was opened."""

from prepaid.api.answers import balance_answer
from prepaid.api.http import Request, Response, account_of, check_query
from prepaid.api.times import parse_rfc3339, rfc3339
from prepaid.core.errors import InvalidRequest
from prepaid.core.ledger import settle
from prepaid.store.catalog import CatalogCache, catalog_at_least, read_catalog_at
from prepaid.store.dynamodb import Table, persist
from prepaid.store.ledger import find_entry_at, read_tail


def balance(request: Request, table: Table, catalog: CatalogCache) -> Response:
    """GET /v1/accounts/{account}/balance: what can be spent now, or could be at `at`. Writes nothing."""
    account_id = account_of(request)
    check_query(request, frozenset({"at"}))
    at = parse_rfc3339(request.query["at"], "at") if "at" in request.query else None
    if at is not None and at > request.now:
        raise InvalidRequest((("at", "must not be in the future"),))
    tail = persist(request.patience, read_tail, table, account_id)
    if at is None:
        at, entry = request.now, tail.entry
        current = catalog(request.patience)
        then = persist(request.patience, catalog_at_least, table, current, entry.catalog_version)
    else:
        found = find_entry_at(table, account_id, tail.entry, at, request.patience)
        if found is None:
            raise InvalidRequest((("at", "is before the account was opened"),))
        entry = found
        then = read_catalog_at(table, at, entry.catalog_version, request.patience)
    account, _ = settle(entry.after, catalog=then, now=at)
    return Response(status=200, body=balance_answer(account, then, entry=entry.number, as_of=rfc3339(at)))
