"""CSV files for spreadsheets in the reader's language: Excel in Brazil separates by `;` and needs a byte order mark."""

import json
from collections.abc import Iterable

from prepaid.api.http.csv_lines import BYTE_ORDER_MARK, csv_line
from prepaid.api.http.responses import Response
from prepaid.core.languages import language_file
from prepaid.portal.languages import texts_of
from prepaid.portal.pages import security_headers, session_cookie
from prepaid.portal.visits import Visit
from prepaid.portal_config import PortalConfig

MAX_LINES = 10_000
# A Lambda response has at most 6,291,556 bytes of JSON, in which a letter beyond ASCII may take 6 bytes.
MAX_FILE_BYTES = 5_500_000

type Cells = Iterable[str | int | None]


def csv_response(
    visit: Visit, portal: PortalConfig, name: str, columns: Iterable[str], rows: Iterable[Cells]
) -> Response:
    """A file to download. name: of the file, without .csv. columns: the names of their texts."""
    language = visit.session.language
    texts = texts_of(language)
    delimiter = language_file(language).formats.csv_delimiter
    lines = [csv_line((texts[column] for column in columns), delimiter)]
    lines += [csv_line(row, delimiter) for row in rows]
    headers = {
        **security_headers(portal),
        "Content-Type": "text/csv; charset=utf-8",
        # Account ids have no character that a quoted file name would have to escape.
        "Content-Disposition": f'attachment; filename="{name}.csv"',
    }
    body = "".join([BYTE_ORDER_MARK, *lines])
    return Response(status=200, body=body, headers=headers, cookies=(session_cookie(visit.token),))


def within_bytes(rows: Iterable[Cells], max_bytes: int) -> list[Cells]:
    """The first rows, as many as fit into this many bytes of JSON."""
    fitting: list[Cells] = []
    for row in rows:
        cells = list(row)
        max_bytes -= len(json.dumps(cells))
        if max_bytes < 0:
            break
        fitting.append(cells)
    return fitting
