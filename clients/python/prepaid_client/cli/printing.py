"""Prints tables for people and JSON for programs."""

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Each row is one line of any length. A narrow terminal wraps it, but no id is split by spaces.
UNLIMITED_WIDTH = 1_000_000
# Spaces at the end of the last column, before the end of its style.
FILLING = re.compile(r" +((?:\x1b\[0m)?)$")
NUMBER = (int, float)


def print_json(value: object) -> None:
    """Print a value as indented JSON, with the members of the API."""
    print(msgspec.json.format(msgspec.json.encode(value)).decode())  # noqa: T201 - the program's output


def print_json_line(value: object) -> None:
    """Print a value as one line of JSON, at once."""
    print_text_line(msgspec.json.encode(value).decode())


def print_text_line(text: str) -> None:
    """Print a line, at once."""
    print(text, flush=True)  # noqa: T201 - the program's output


def print_line(*columns: tuple[object, int]) -> None:
    """Print a row of an endless table: each value, padded to the minimum width of its column."""
    print_text_line("  ".join(f"{shown(value):<{width}}" for value, width in columns).rstrip())


def print_table(rows: Iterable[Sequence[object]], *headings: str) -> None:
    """Print a table. Numbers are aligned to the right; text is never interpreted as markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    listed = [tuple(row) for row in rows]
    for column, heading in enumerate(headings):
        values = [row[column] for row in listed if row[column] is not None]
        numeric = bool(values) and all(isinstance(value, NUMBER) for value in values)
        table.add_column(heading, justify="right" if numeric else "left")
    for row in listed:
        table.add_row(*(Text(shown(value)) for value in row))
    _print(table)
    if not listed:
        print_text_line("(none)")


def print_facts(*facts: tuple[str, object]) -> None:
    """Print names with their values."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in facts:
        table.add_row(name, Text(shown(value)))
    _print(table)


def _print(table: Table) -> None:
    terminal = Console(file=sys.stdout, width=UNLIMITED_WIDTH, highlight=False)
    with terminal.capture() as captured:
        terminal.print(table)
    for line in captured.get().splitlines():
        print_text_line(FILLING.sub(r"\1", line))


def shown(value: object) -> str:
    """A value as people read it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M} UTC"
        case _:
            return str(value)
