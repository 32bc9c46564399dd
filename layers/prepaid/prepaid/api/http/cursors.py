"""Cursors: the signed start of the next page, valid for one list of one account with one set of filters only."""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256

from prepaid.api.http.problems import CursorInvalid
from prepaid.store.secrets import Versions

# Each cursor has exactly one spelling, so that no altered cursor is accepted.
CURSOR = re.compile(r"([A-Za-z0-9._-]{1,64})\.([0-9a-f]{64})", re.ASCII)


def sign_cursor(position: str, listing: str, account: str, filters: Mapping[str, str], secrets: Versions) -> str:
    """A cursor for the page after `position` in the list named `listing`.

    position: 1 to 64 of the characters that an account id can have. account: "" for a list of all accounts.
    """
    return f"{position}.{_signature(position, listing, account, filters, secrets.value(secrets.current))}"


def read_cursor(cursor: str, listing: str, account: str, filters: Mapping[str, str], secrets: Versions) -> str:
    """The position in a cursor for this list, this account and these filters. Raises CursorInvalid, Busy.

    A cursor that an earlier version of the secret signed stays valid while the secret still holds that version.
    """
    match = CURSOR.fullmatch(cursor)
    if not match:
        raise CursorInvalid("This is not a cursor.")
    signatures = (_signature(match[1], listing, account, filters, secret) for secret in secrets.accepted())
    if not any(hmac.compare_digest(match[2], signature) for signature in signatures):
        raise CursorInvalid("This cursor was not issued for this list, this account and these filters.")
    return match[1]


def _signature(position: str, listing: str, account: str, filters: Mapping[str, str], secret: str) -> str:
    # Every part has its length as a prefix, so that no two different requests produce the same message.
    parts = (listing, position, account, *(part for item in sorted(filters.items()) for part in item))
    message = "".join(f"{len(part)}:{part}" for part in parts)
    # A filter may be any text, even half of a surrogate pair.
    return hmac.new(secret.encode(), message.encode(errors="surrogatepass"), sha256).hexdigest()
