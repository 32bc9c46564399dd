"""Explains to the caller why a body can't be read as JSON, and how to correct it."""

import json
from collections.abc import Mapping

from prepaid.api.http.problems import HttpRefusal, Malformed, UnsupportedType

# API Gateway replaces bytes that aren't UTF-8 before the function sees them, unless it sends the body as base64.
REPLACEMENT = "\ufffd".encode()
GZIP_STARTS = (b"\x1f\x8b", b"\x1f" + REPLACEMENT)
TOO_DEEP = "The body is nested too deeply."
SENTENCES = {
    "Illegal trailing comma before end of object": "a comma before the closing brace, which must be removed",
    "Illegal trailing comma before end of array": "a comma before the closing bracket, which must be removed",
    "Expecting property name enclosed in double quotes": "a field's name in double quotes was expected",
    "Expecting value": "a value was expected",
    "Expecting ',' delimiter": "a comma was expected",
    "Expecting ':' delimiter": "a colon was expected",
    "Extra data": "something follows the end of the JSON value",
    "Unterminated string starting at": "a string has no closing quote",
    "Invalid control character at": "a line break or other control character inside a string, which must be escaped",
}


def explain(body: bytes, headers: Mapping[str, str], error: ValueError | RecursionError) -> HttpRefusal:
    """The refusal for `body`, for which json.loads raised `error`."""
    if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        return UnsupportedType("The body has a Content-Encoding. Send it uncompressed, without this header.")
    return Malformed(_wrong_bytes(body) or _wrong_text(body, error))


def _wrong_bytes(body: bytes) -> str | None:
    """A sentence if the body as a whole is in another format or encoding."""
    if not body.strip():
        return "The body is empty. Send a JSON object."
    if body.startswith(GZIP_STARTS):
        return "The body is compressed with gzip. Send it uncompressed."
    # A byte order mark of UTF-16 or UTF-32 has two bytes that aren't UTF-8.
    encoding = json.detect_encoding(body.removeprefix(REPLACEMENT * 2))
    if encoding.startswith(("utf-16", "utf-32")):
        return f"The body is in {encoding[:6].upper()}. Send it in UTF-8."
    if encoding == "utf-8-sig":
        return "The body starts with a byte order mark (U+FEFF). Send UTF-8 without it."
    return None


def _wrong_text(body: bytes, error: ValueError | RecursionError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return (
            f"The body is not UTF-8: byte {error.start + 1} is 0x{body[error.start]:02X}. If the text is in Latin-1 or "
            "Windows-1252, convert it to UTF-8."
        )
    if isinstance(error, json.JSONDecodeError):
        reason = SENTENCES.get(error.msg, error.msg[0].lower() + error.msg[1:])
        return f"The body is not JSON: {reason} (line {error.lineno}, column {error.colno})."
    return TOO_DEEP if isinstance(error, RecursionError) else "The body contains a number with too many digits."
