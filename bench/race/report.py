"""The tables of a race, and its picture."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.race import engines
from bench.race.contenders import CONTENDERS
from bench.race.figures import Row, Turn, noise, rows

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/performance.md"
PICTURE = ROOT / "docs/pictures/bench.svg"
BASELINE = "Prepaid"
HEADER = "| | lots | debits/s | slowest to fastest round | ratio | p50 ms | p99 ms | CPU ms | write units | exact |"
RULE = "|---|---|---:|---:|---:|---:|---:|---:|---:|---|"
# Sizes in the picture, in pixels.
WIDTH, BAR, GAP, LEFT, RIGHT, TOP = 760, 16, 6, 260, 70, 52
DATABASES: Mapping[object, str] = {
    engines.dynamodb: "DynamoDB Local",
    engines.postgresql: "PostgreSQL",
    engines.redis: "Redis",
}
# The cases that the picture shows.
SHOWN = ((32, 1), (32, 1000))


def turns_of(result: Mapping[str, Any]) -> list[Turn]:
    """The turns of a stored result."""
    return [Turn(**turn) for turn in result["turns"]]


def cases(result: Mapping[str, Any]) -> dict[tuple[int, int], list[Row]]:
    """The rows of each case, by callers and accounts."""
    turns_by_case: dict[tuple[int, int], list[Turn]] = {}
    for turn in turns_of(result):
        turns_by_case.setdefault((turn.callers, turn.accounts), []).append(turn)
    return {case: rows(turns, BASELINE) for case, turns in turns_by_case.items()}


def inexact(result: Mapping[str, Any]) -> list[str]:
    """The contenders that took another number of credits than they reported, or took two for a repeated key."""
    names = {turn.contender for turn in turns_of(result) if not turn.exact}
    names |= {name for name, check in result["keys"].items() if check["spent"] != check["keys"]}
    return sorted(names)


def text(result: Mapping[str, Any]) -> str:
    """All tables, as they are in the document."""
    return "\n".join(_lines(result))


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    effort, (usual, slow) = result["effort"], noise(turns_of(result))
    yield f"{result['at']}; {result['machine']}; {effort['rounds']} rounds of {effort['seconds']:g} s a turn."
    yield (
        f"Noise: a fixed calculation took {usual:.2f} times its fastest in the median, and {slow:.2f} times in the "
        "slowest tenth."
    )
    lots = {contender.name: "yes" if contender.lots else "no" for contender in CONTENDERS}
    for (callers, accounts), case_rows in cases(result).items():
        yield ""
        yield f"**{_case(callers, accounts)}**"
        yield ""
        yield from (HEADER, RULE)
        for row in case_rows:
            yield _table_row(row, lots.get(row.contender, ""))
    yield ""
    for name, check in result["keys"].items():
        yield f"- {name}: {check['keys']} keys, each sent nine times, took {check['spent']} credits."
    yield ""
    yield from (f"- Not in this run: {name}: {reason}." for name, reason in result["absent"].items())


def _table_row(row: Row, lots: str) -> str:
    units = f"{row.units:.1f}" if row.units else ""
    exact = ("yes" if row.exact else "**no**") + (f", {row.errors} gave up" if row.errors else "")
    spread = f"{row.slowest_rate:,.0f} to {row.fastest_rate:,.0f}"
    return (
        f"| {row.contender} | {lots} | {row.rate:,.0f} | {spread} | {row.ratio:.2f} | {row.p50_ms:.1f} | "
        f"{row.p99_ms:,.0f} | {row.cpu_ms:.1f} | {units} | {exact} |"
    )


def _case(callers: int, accounts: int) -> str:
    return f"{callers} caller{'s' * (callers > 1)}, {accounts:,} account{'s' * (accounts > 1)}"


def write(result: Mapping[str, Any]) -> None:
    """Renew the document's tables and the picture."""
    DOCUMENT.write_text(renewed(DOCUMENT.read_text("utf-8"), text(result)), "utf-8")
    PICTURE.write_text(drawing(result), "utf-8")


def renewed(document: str, tables: str) -> str:
    """The document with these tables between its two marks."""
    return re.sub(
        r"(?<=<!-- make bench -->\n).*(?=\n<!-- end -->)", lambda _: f"\n{tables}\n", document, flags=re.DOTALL
    )


def drawing(result: Mapping[str, Any]) -> str:
    """Bars of debits a second, as SVG: readable on a white page and on a dark one."""
    shown = {case: case_rows for case, case_rows in cases(result).items() if case in SHOWN} or cases(result)
    parts, y = [], TOP
    for (callers, accounts), case_rows in shown.items():
        parts.append(f'<text x="10" y="{y}" class="case">{_case(callers, accounts)}, debits a second</text>')
        y += GAP + 4
        bars, y = _bars(case_rows, y)
        parts += bars
        y += TOP - 14
    style = (
        "text{font:13px system-ui,sans-serif;fill:#57606a}.case{font-weight:600}.bar{fill:#9aa4ae}.own{fill:#2f6feb}"
        "@media(prefers-color-scheme:dark){text{fill:#adb5bd}.bar{fill:#6e7781}}"
    )
    title = "Debits a second of Prepaid and of what a team would use instead"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y - 10}" viewBox="0 0 {WIDTH} {y - 10}" '
        f'role="img" aria-label="{title}"><title>{title}</title><style>{style}</style>\n'
        f'<text x="10" y="24">{title}. {result["at"].split()[0]}, {result["machine"].split(",")[0]}.</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _bars(case_rows: Sequence[Row], y: int) -> tuple[list[str], int]:
    most = max(row.rate for row in case_rows) or 1.0
    databases = {contender.name: DATABASES[contender.engine] for contender in CONTENDERS}
    parts = []
    for row in case_rows:
        length = max(1, round((WIDTH - LEFT - RIGHT) * row.rate / most))
        on = f" on {databases[row.contender]}" if row.contender in databases else ""
        kind = "own" if row.contender == BASELINE else "bar"
        parts.append(
            f'<text x="10" y="{y + BAR - 4}">{row.contender}{on}</text>'
            f'<rect x="{LEFT}" y="{y}" width="{length}" height="{BAR}" class="{kind}"/>'
            f'<text x="{LEFT + length + 6}" y="{y + BAR - 4}">{row.rate:,.0f}</text>'
        )
        y += BAR + GAP
    return parts, y
