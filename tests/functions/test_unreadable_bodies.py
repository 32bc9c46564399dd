"""A body that can't be read as JSON: the response says what is wrong with it and what to send instead."""

import gzip
import json

import pytest

from tests.support.api import CONSUME
from tests.support.in_process import Service

BODY = '{"feature":"sticker","customer":"José"}'
GZIPPED = gzip.compress(BODY.encode(), mtime=0)
SENTENCES = [
    (BODY.encode("latin-1"), "not UTF-8: byte 37 is 0xE9. If the text is in Latin-1 or Windows-1252"),
    (BODY.encode("cp1252") + b"\x80", "byte 37 is 0xE9"),
    (GZIPPED, "compressed with gzip. Send it uncompressed"),
    (BODY.encode("utf-16"), "in UTF-16. Send it in UTF-8"),
    (BODY.encode("utf-16-le"), "in UTF-16. Send it in UTF-8"),
    (BODY.encode("utf-16-be"), "in UTF-16. Send it in UTF-8"),
    (BODY.encode("utf-32"), "in UTF-32. Send it in UTF-8"),
    (BODY.encode("utf-32-be"), "in UTF-32. Send it in UTF-8"),
    (BODY.encode("utf-8-sig"), "starts with a byte order mark (U+FEFF). Send UTF-8 without it"),
    ("", "The body is empty. Send a JSON object."),
    (" \n", "The body is empty. Send a JSON object."),
    ('{"feature":"sticker",}', "a comma before the closing brace, which must be removed (line 1, column 21)"),
    ('{"features":[1,]}', "a comma before the closing bracket, which must be removed (line 1, column 15)"),
    ("{'feature':'sticker'}", "a field's name in double quotes was expected (line 1, column 2)"),
    ('{"feature":sticker}', "a value was expected (line 1, column 12)"),
    ('{"feature":"sticker"\n"quantity":1}', "a comma was expected (line 2, column 1)"),
    ('{"feature" "sticker"}', "a colon was expected (line 1, column 12)"),
    ('{"feature":"sticker"} x', "something follows the end of the JSON value (line 1, column 23)"),
    ('{"feature":"sticker', "a string has no closing quote (line 1, column 12)"),
    ('{"description":"a\nb"}', "a line break or other control character inside a string"),
    ('{"description":"a\\x"}', "invalid \\escape"),
    ('{"feature":"sticker","quantity":1,"quantity":2}', 'names the field "quantity" twice'),
    ('{"\\ud800":1,"\\ud800":1}', 'names the field "\\ud800" twice'),
    ('{"quantity":NaN}', "contains NaN, which is not JSON"),
    ('{"quantity":1' + "0" * 5000 + "}", "a number with too many digits"),
    ("[" * 60_000, "nested too deeply"),
    ('{"x":' + "[" * 300 + "]" * 300 + "}", "nested too deeply"),
    ('{"feature":"sticker","customer":"\\ud83d"}', "half of a surrogate pair"),
]


@pytest.mark.parametrize(("body", "sentence"), SENTENCES, ids=[sentence for _, sentence in SENTENCES])
def test_each_fault_of_a_body_gets_its_own_sentence(unchanged: Service, body: str | bytes, sentence: str) -> None:
    answer = unchanged(CONSUME, body=body)

    assert (answer.status, answer.code) == (400, "malformed_body")
    assert sentence in answer.body["detail"]


@pytest.mark.parametrize("encoding", ["gzip", "utf-16", "utf-16-le", "utf-32"])
def test_the_sentence_is_the_same_after_the_gateway_decoded_the_body(unchanged: Service, encoding: str) -> None:
    """For application/json, API Gateway replaces each byte that isn't UTF-8 with U+FFFD."""
    body = GZIPPED if encoding == "gzip" else BODY.encode(encoding)

    answers = [unchanged(CONSUME, body=sent) for sent in (body, body.decode(errors="replace"))]

    assert answers[0].status == 400
    assert answers[0].body == answers[1].body


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "GZIP, br"])
def test_a_content_encoding_is_unsupported(unchanged: Service, encoding: str) -> None:
    answer = unchanged(CONSUME, body=GZIPPED, headers={"content-encoding": encoding})

    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert "Send it uncompressed, without this header" in answer.body["detail"]


@pytest.mark.parametrize("encoding", ["", "identity", " Identity", "gzip"])
def test_a_body_that_is_json_is_read_whatever_its_header_says(service: Service, encoding: str) -> None:
    """A gateway may have decompressed it and left the header."""
    service.open(credits=1)

    assert service(CONSUME, body=BODY, headers={"Content-Encoding": encoding}).status == 201
    assert service.history()[0]["customer"] == json.loads(BODY)["customer"]
