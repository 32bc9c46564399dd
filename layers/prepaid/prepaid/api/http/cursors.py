"""Cursors: the signed start of the next page, valid for one account and one set of filters only."""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256

from prepaid.api.http.problems import CursorInvalid

# Each cursor has exactly one spelling, so that no altered one is accepted.
CURSOR = re.compile(r"([1-9][0-9]{0,11})\.([0-9a-f]{64})", re.ASCII)


def sign_cursor(before: int, account: str, filters: Mapping[str, str], secret: str) -> str:
    """A cursor for the entries below number `before`."""
    return f"{before}.{_signature(before, account, filters, secret)}"


def read_cursor(cursor: str, account: str, filters: Mapping[str, str], secret: str) -> int:
    """The number in a cursor for this account and these filters. Raises CursorInvalid."""
    match = CURSOR.fullmatch(cursor)
    if not match:
        raise CursorInvalid("This is not a cursor.")
    before = int(match[1])
    if not hmac.compare_digest(match[2], _signature(before, account, filters, secret)):
        raise CursorInvalid("This cursor was not issued for this account and these filters.")
    return before


def _signature(before: int, account: str, filters: Mapping[str, str], secret: str) -> str:
    # Every part has its length as a prefix, so that no two different requests produce the same message.
    parts = (str(before), account, *(part for item in sorted(filters.items()) for part in item))
    message = "".join(f"{len(part)}:{part}" for part in parts)
    # A filter may be any text, even half of a surrogate pair.
    return hmac.new(secret.encode(), message.encode(errors="surrogatepass"), sha256).hexdigest()
