"""What must hold for any bytes at all, one target each: briefly in `make test`, by atheris in `make fuzz`.

A target that returns has found nothing; any exception is a finding. None needs a network, a clock or another table than
one in memory.
"""

import csv
import io
import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from hmac import new as mac
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from prepaid.api.accounts import AccountPatch, AccountRequest
from prepaid.api.catalogs import CatalogRequest
from prepaid.api.consumptions import ConsumptionRequest
from prepaid.api.grants import GrantRequest, VoidRequest
from prepaid.api.histories import COLUMNS
from prepaid.api.http.bodies import body_of
from prepaid.api.http.csv_lines import csv_line
from prepaid.api.http.cursors import read_cursor, sign_cursor
from prepaid.api.http.problems import CursorInvalid, Malformed, TooLarge
from prepaid.api.http.requests import Request, request_from
from prepaid.api.http.serving import MAX_BODY_BYTES
from prepaid.api.manager_codes import ManagerCodeRequest, ManagerSessionRequest
from prepaid.api.purchases import PurchaseRequest
from prepaid.core.errors import InvalidRequest
from prepaid.payments.errors import WebhookRejected
from prepaid.payments.events import ID, MAX_METADATA_BYTES, Event
from prepaid.payments.webhook import verified_event
from prepaid.store.secrets import Versions
from tests.fuzzing.deliveries import delivery

CORPUS = Path(__file__).with_name("corpus")
NOW = datetime(2026, 6, 16, 13, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
SECRET = "whsec_of_the_fuzzer"
# https://owasp.org/www-community/attacks/CSV_Injection
FORMULA_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
CURSOR_SECRETS = Versions({1: "cursor-secret-of-the-fuzzer", 2: "its-successor"})
OTHER_SECRETS = Versions({1: "another-secret", 2: "and-its-successor"})
LISTING = "history"
BODIES: tuple[type[BaseModel], ...] = (
    ConsumptionRequest,
    GrantRequest,
    VoidRequest,
    AccountRequest,
    AccountPatch,
    ManagerCodeRequest,
    ManagerSessionRequest,
    PurchaseRequest,
    CatalogRequest,
)


def webhook(data: bytes) -> None:
    """A header, a newline, a body: an event only when the signature is right, else WebhookRejected and nothing else.

    A first byte of 's' signs the body properly, so that the code behind the signature check is reached.
    """
    header, _, raw = data[1:].partition(b"\n")
    signature = header.decode("latin-1")
    right = f"t={SECONDS},v1={mac(SECRET.encode(), f'{SECONDS}.'.encode() + raw, sha256).hexdigest()}"
    if data.startswith(b"s"):
        signature = right
    try:
        event = verified_event(raw, signature, ["whsec_another", SECRET], now=NOW, tolerance_seconds=300)
    except WebhookRejected:
        return
    assert right.partition(",")[2] in signature, "believed without its signature"
    check_event(event)


def check_event(event: Event) -> None:
    """The values of an event can become a key, an address and a log line."""
    assert ID.fullmatch(event.id)
    for name in (event.session, event.payment):
        assert name is None or ID.fullmatch(name)
    for pointer in (event.account, event.purchase):
        assert pointer is None or (pointer.isprintable() and 0 < len(pointer.encode()) <= MAX_METADATA_BYTES)


def cursor(data: bytes) -> None:
    """A cursor, then the list that it is used for: refused, or issued for exactly that list."""
    forged, account, name, value = split(data, 4)
    filters = {name: value} if name else {}
    for text in (forged, sign_cursor("7", LISTING, account, filters, CURSOR_SECRETS)):
        found = position(text, account, filters)
        if found is None:
            assert text == forged, "our own cursor is refused"
            continue
        assert text == sign_cursor(found, LISTING, account, filters, CURSOR_SECRETS)
        assert position(text, account, filters, secrets=OTHER_SECRETS) is None
        assert position(text, account, filters, listing=LISTING + "x") is None
        for other in (account, account + "x", account[:-1], account.swapcase()):
            for others in (filters, {}, {name: value + "x"}, {name + value: ""}, {value: name}):
                if (other, others) != (account, filters):
                    assert position(text, other, others) is None, "good for something else"


def position(
    text: str, account: str, filters: Mapping[str, str], *, listing: str = LISTING, secrets: Versions = CURSOR_SECRETS
) -> str | None:
    """The cursor's position, or None where it is refused."""
    try:
        return read_cursor(text, listing, account, filters, secrets)
    except CursorInvalid:
        return None


def body(data: bytes) -> None:
    """Any bytes as every kind of request: refused as documented, or read exactly as a JSON parser reads them."""
    for model in BODIES:
        request = posted(data)
        if request is None:
            continue
        try:
            parsed = body_of(request, model)
        except (Malformed, InvalidRequest) as refusal:
            check_words(refusal)
            continue
        sent = json.loads(data, object_pairs_hook=once)
        assert isinstance(sent, dict)
        # Nothing was coerced, dropped or read otherwise than by any JSON parser.
        for field, value in parsed.model_dump(exclude_unset=True, mode="json").items():
            if not isinstance(getattr(parsed, field), datetime):
                assert same(value, sent[field]), (field, value, sent[field])
        assert set(sent) == parsed.model_fields_set


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Two members of one name are refused: parsers differ about them."""
    assert len(dict(pairs)) == len(pairs), "a name twice"
    return dict(pairs)


def same(ours: Any, sent: Any) -> bool:
    """Whether two JSON values are one; what wasn't sent of a pack has its default."""
    if isinstance(sent, dict):
        return isinstance(ours, dict) and all(same(ours.get(name), value) for name, value in sent.items())
    if isinstance(sent, list):
        return isinstance(ours, list) and len(ours) == len(sent) and all(map(same, ours, sent))
    return type(ours) is type(sent) and ours == sent


def posted(data: bytes) -> Request | None:
    """A POST with these bytes; None when it was refused for its size."""
    event = {
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST"}},
        "body": b64encode(data).decode(),
        "isBase64Encoded": True,
    }
    try:
        return request_from(event, NOW, MAX_BODY_BYTES)
    except TooLarge:
        assert len(data) > MAX_BODY_BYTES
        return None


def check_words(refusal: Malformed | InvalidRequest) -> None:
    """A refusal can be sent: its texts are Unicode, and it names fields only where there are any."""
    if isinstance(refusal, InvalidRequest):
        assert refusal.errors
        for name, message in refusal.errors:
            assert name
            assert message
            json.dumps([name, message], ensure_ascii=False).encode()


def cells(data: bytes) -> None:
    """Any texts as an entry of the history: one row, every cell with its text, none that a spreadsheet runs."""
    texts = split(data, 6)
    line: dict[str, Any] = dict.fromkeys(COLUMNS)
    line |= dict(zip(("description", "customer", "reference", "feature", "actor", "purchase"), texts, strict=True))
    line |= {"entry": 1, "credits": -2, "at": "2026-06-16T13:00:00.000Z", "type": "consumption"}
    text = csv_line(COLUMNS) + csv_line(line.values()) * 2
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert rows[0] == list(COLUMNS)
    assert len(rows) == 3, "a broken row"
    for row in rows[1:]:
        for name, cell in zip(COLUMNS, row, strict=True):
            sent = "" if line[name] is None else str(line[name])
            assert cell.replace("'", "") == sent.replace("'", "")
            assert not cell.startswith(("\t", "\r", "\n")), f"a formula in {name}"
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            for cell in row:
                assert not is_formula(cell), f"a formula where {separator!r} separates"


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet may run the cell; neither a negative number nor a telephone number is run."""
    if re.fullmatch(r"-[0-9]+|\+[0-9][0-9 ().-]*", cell, re.ASCII):
        return False
    # Some programs drop these.
    shown = cell.lstrip(' "\u00a0\u200b\u200d\u200e\u2060\u3000\ufeff')
    return shown.startswith(FORMULA_STARTS)


def split(data: bytes, number: int) -> list[str]:
    """So many texts, separated by a byte that no UTF-8 has; what isn't UTF-8 becomes lone surrogates."""
    parts = data.split(b"\xff", number - 1)
    parts += [b""] * (number - len(parts))
    return [part.decode(errors="surrogateescape") for part in parts]


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "webhook": webhook,
    "delivery": delivery,
    "cursor": cursor,
    "body": body,
    "csv": cells,
}
