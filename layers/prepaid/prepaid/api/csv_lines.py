"""A history as CSV."""

import csv
import io
from collections.abc import Iterable, Mapping

COLUMNS = (
    "entry",
    "at",
    "type",
    "credits",
    "quota",
    "owed",
    "feature",
    "quantity",
    "description",
    "customer",
    "reference",
    "source",
    "balance_after",
    "quota_remaining",
    "lot",
    "purchase",
    "actor",
)
# A spreadsheet evaluates a cell that starts with one of these: https://owasp.org/www-community/attacks/CSV_Injection
# The last four are full-width forms of the first four, which East Asian versions of Excel treat the same.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_text(lines: Iterable[Mapping[str, object]]) -> str:
    """A header line and one line per entry. Texts that a spreadsheet would evaluate get an apostrophe in front."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    writer.writerows({name: _cell(line[name]) for name in COLUMNS} for line in lines)
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value
