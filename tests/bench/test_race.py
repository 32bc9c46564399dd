"""`make bench` works: everybody that can be installed here takes part, and each takes as many credits as it answers."""

from dataclasses import replace

import pytest

from bench.race.__main__ import CASES, QUICK, race
from bench.race.contenders import ABSENT, CONTENDERS
from bench.race.report import cases, drawing, inexact, text

pytestmark = pytest.mark.xdist_group("bench")
# Long enough for each contender to debit in each case, and too short for figures.
SHORT = replace(QUICK, seconds=0.1, warm_up=0.05, accounts=16)


def test_a_short_race_is_exact_and_names_everybody() -> None:
    result = race(SHORT)

    ran = {turn["contender"] for turn in result["turns"]}
    assert {contender.name for contender in CONTENDERS} == ran | result["absent"].keys() - ABSENT.keys()
    assert {"Prepaid", "Powertools by hand"} <= ran
    assert len(result["turns"]) == len(ran) * len(CASES)
    assert inexact(result) == []
    assert all(row.units >= 4 for rows in cases(result).values() for row in rows if row.contender == "Prepaid")
    assert all(name in text(result) for name in ran | result["absent"].keys())
    assert all(f">{name} on " in drawing(result) for name in ran)
