"""A little of `make fuzz` in every run: the corpus as it is, and what Hypothesis makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzzing.targets import CORPUS, TARGETS


def seeds(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


@pytest.mark.parametrize("target", TARGETS)
def test_every_file_of_the_corpus_passes(target: str) -> None:
    assert seeds(target)
    for seed in seeds(target):
        TARGETS[target](seed)


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
def test_arbitrary_bytes_pass(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(st.binary(max_size=200)))


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
def test_a_seed_with_a_replaced_part_passes(target: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(seeds(target)))
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, min(len(seed), start + 8)))
    TARGETS[target](seed[:start] + data.draw(st.binary(max_size=8)) + seed[end:])
