"""Cursors: where the next page starts, signed, good for one account and one set of filters only."""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256

from prepaid.api.http.problems import CursorInvalid

# Exactly one spelling a cursor: any other bit pattern is somebody else's work.
CURSOR = re.compile(r"([1-9][0-9]{0,11})\.([0-9a-f]{64})", re.ASCII)


def sign_cursor(before: int, account: str, filters: Mapping[str, str], secret: str) -> str:
    """A cursor for the entries below number `before`."""
    return f"{before}.{_signature(before, account, filters, secret)}"


def read_cursor(cursor: str, account: str, filters: Mapping[str, str], secret: str) -> int:
    """The number that a cursor for this account and these filters holds. Raises CursorInvalid."""
    match = CURSOR.fullmatch(cursor)
    if not match:
        raise CursorInvalid("This is not a cursor.")
    before = int(match[1])
    if not hmac.compare_digest(match[2], _signature(before, account, filters, secret)):
        raise CursorInvalid("This cursor was not given for this account and these filters.")
    return before


def _signature(before: int, account: str, filters: Mapping[str, str], secret: str) -> str:
    # Every part is length-prefixed: no two different requests spell the same message.
    parts = (str(before), account, *(part for item in sorted(filters.items()) for part in item))
    message = "".join(f"{len(part)}:{part}" for part in parts)
    # A filter may be any text, half a surrogate pair too.
    return hmac.new(secret.encode(), message.encode(errors="surrogatepass"), sha256).hexdigest()
