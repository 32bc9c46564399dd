"""What to touch for an entry type or a catalog field (CONTRIBUTING.md): each place that lacks one is named."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import get_args

from local.processes import ROOT
from prepaid.api.catalogs import FeatureRequest, PackRequest, PlanRequest
from prepaid.api.http.bodies import Body
from prepaid.core.catalog import Feature, Pack, Plan
from prepaid.core.entry import EntryType
from prepaid.core.statement import LINES
from prepaid.store.items import OPERATION_NAMES, Claimable

LANGUAGES = ROOT / "layers/prepaid/prepaid/core/languages"


def places() -> Iterator[tuple[str, set[str]]]:
    """Each place that lists the entry types, with those in it."""
    yield "core/statement.py: LINES", set(LINES)
    for file in LANGUAGES.glob("*.json"):
        names = json.loads(file.read_text("utf-8"))["texts"]
        yield f"core/languages/{file.name}", {name.removeprefix("type.") for name in names if name.startswith("type.")}
    for document, line in (("docs/events.md", r"^`purchase`, .*"), ("docs/support.md", r"^- `type` is .*")):
        [listing] = re.findall(line, (ROOT / document).read_text("utf-8"), re.MULTILINE)
        yield document, set(re.findall(r"`(\w+)`", listing))


def test_every_place_lists_every_entry_type() -> None:
    types = set(get_args(EntryType))

    assert {place: types - listed for place, listed in places() if types - listed} == {}
    assert len(list(places())) == 6


def test_every_operation_with_a_key_has_a_name_in_its_claim() -> None:
    assert set(get_args(Claimable)) == set(OPERATION_NAMES)


def test_a_request_can_set_every_field_of_the_catalog() -> None:
    requests: dict[type[Feature | Plan | Pack], type[Body]] = {
        Feature: FeatureRequest,
        Plan: PlanRequest,
        Pack: PackRequest,
    }

    accepted = {kind: set(request.model_fields) for kind, request in requests.items()}

    assert accepted == {kind: {field.name for field in fields(kind)} for kind in requests}
