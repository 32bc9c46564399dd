"""Lines of CSV files (RFC 4180). No cell is a formula, whether `,`, `;` or tab separates the cells."""

import csv
import io
import re
from collections.abc import Iterable

from prepaid.api.http.texts import INVISIBLE

# Without it, Excel reads UTF-8 as another encoding.
BYTE_ORDER_MARK = "\ufeff"
# The first four start a formula (https://owasp.org/www-community/attacks/CSV_Injection), and so do, in East Asian
# versions of Excel, their full-width and small forms.
FORMULA_STARTS = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
# The characters that end a cell in a program that doesn't separate by comma, even within our quotes.
CELL_ENDS = r";\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029"
# The places at which such a program may start a formula. It may ignore invisible characters and quotes before one.
CELL_START = re.compile(rf'(^|[{CELL_ENDS}])(?=[{INVISIBLE}"]*[{FORMULA_STARTS}])|^(?=[\t\r\n])')
# The same in a file with another separator, in which a comma isn't quoted.
CELL_START_AFTER_COMMA = re.compile(CELL_START.pattern.replace("(^|[", "(^|[,", 1))
# 7 to 15 digits (E.164) with the separators of RFC 3966. As a formula, it calls nothing and refers to no cell.
TELEPHONE = re.compile(r"\+[0-9](?:[ ().-]*[0-9]){6,14}", re.ASCII)


def csv_line(cells: Iterable[str | int | None], delimiter: str = ",") -> str:
    """One line. A text in which a formula would start gets an apostrophe there; a telephone number stays as it is."""
    out = io.StringIO()
    starts = CELL_START if delimiter == "," else CELL_START_AFTER_COMMA
    csv.writer(out, delimiter=delimiter).writerow(
        [_harmless(cell, starts) if isinstance(cell, str) else cell for cell in cells]
    )
    return out.getvalue()


def _harmless(text: str, starts: re.Pattern[str]) -> str:
    return text if TELEPHONE.fullmatch(text) else starts.sub(r"\1'", text)
