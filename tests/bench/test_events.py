"""The table of bench.events: its speeds, and its place in the document."""

import argparse
from collections.abc import Callable

import pytest

from bench.events import DOCUMENT, KeepAlive, Round, lines, post_anew, posts_a_second, renewed, speed


def test_a_speed_is_from_the_first_moment_to_the_last() -> None:
    assert speed(iter([3.0, 1.0, 2.0, 1.5, 2.5])) == 2.0


def test_the_table_shows_the_median_round_and_the_spread() -> None:
    options = argparse.Namespace(rate=10.0, debits=3, backlog=40, rounds=3, accounts=2)
    rounds = [Round([0.1, 0.2, delay], speed, speed) for delay, speed in ((0.5, 10.0), (0.9, 30.0), (0.7, 20.0))]

    table = "\n".join(lines(options, rounds, [(100.0, 400.0)] * 3))

    assert "median, s | 0.20 | 0.20 to 0.20 |" in table
    assert "99th percentile of 3 debits, s | 0.70 | 0.50 to 0.90 |" in table
    assert "that come at once | 20 | 10 to 30 |" in table


def test_the_document_has_room_for_the_events() -> None:
    changed = renewed(DOCUMENT.read_text("utf-8"), "| another table |")

    assert "\n| another table |\n" in changed
    assert "**How to read the table.**" in changed
    assert renewed(changed, "| another table |") == changed


@pytest.mark.parametrize("send", [post_anew, KeepAlive()], ids=["anew", "kept"])
def test_each_way_to_post_is_accepted(send: Callable[[str], int]) -> None:
    assert posts_a_second(send, posts=3) > 0
