"""Content negotiation by Accept, as RFC 9110 defines it."""

import pytest

from prepaid.api.http.media_types import preferred

JSON, CSV = "application/json", "text/csv"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        # The highest quality wins.
        ("text/csv", CSV),
        ("application/json, text/csv;q=0.5", JSON),
        ("application/json;q=0.5, text/csv", CSV),
        ("application/json;q=0.899, text/csv;q=0.9", CSV),
        ("text/html, text/csv;q=0.9", CSV),
        # Zero means not acceptable, however the type is matched.
        ("text/csv;q=0", None),
        ("text/csv;q=0.000, */*", JSON),
        ("text/csv;q=0, text/*", None),
        ("*/*;q=0", None),
        ("*/*;q=0, text/csv;q=0.001", CSV),
        ("application/json;q=0, */*", CSV),
        # Wildcards.
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/*", CSV),
        ("text/*, */*;q=0.1", CSV),
        ("text/csv, */*", CSV),
        ("application/json, text/plain, */*", JSON),
        ("*/*, text/csv;q=0.1", JSON),
        ("application/json;q=0.2, text/*;q=0.3", CSV),
        # Of equal qualities: by name before a wildcard, then the earlier range.
        ("text/*, application/json", JSON),
        ("text/csv, application/json", CSV),
        ("application/json, text/csv", JSON),
        # Case, white space and other parameters.
        ("TEXT/CSV", CSV),
        ("text/csv;Q=0", None),
        ("\ttext/csv ; charset=utf-8 ;q=0.5 ,application/json;q=0.4", CSV),
        ('text/csv;header="a,b;q=0\\""', CSV),
        ("text/csv;q=1.000;header=present", CSV),
        ("text/csv;;q=0.3", CSV),
        (", ,text/csv,", CSV),
        # Not well-formed, so ignored.
        ("", None),
        ("text/csv;q=2, application/json;q=0.1", JSON),
        ("text/csv;q=0.0001, application/json;q=0.1", JSON),
        ("text/csv;q=-1", None),
        ("text/csv;q=", None),
        ("text/csv;q=１", None),
        ('text/csv;header="a', None),
        ("text/csv/x", None),
        ("text/csv x", None),
        ("text / csv", None),
        ("csv", None),
        # Neither type.
        ("text/html", None),
        ("text/csvx, xtext/csv", None),
        ("*/csv", None),
    ],
)
def test_the_header_prefers_a_type(accept: str, chosen: str | None) -> None:
    assert preferred(accept, (JSON, CSV)) == chosen


@pytest.mark.parametrize("part", ["text/csv;", ' ;a="', '"', "a/b;c=d ;", "\\", ";;", " ; "])
def test_a_long_header_takes_no_longer_per_character(part: str) -> None:
    """A regular expression that backtracks would take minutes here."""
    assert preferred("text/csv" + part * (10_000 // len(part)) + "\n", (JSON, CSV)) is None
