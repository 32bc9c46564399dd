"""The documents: links lead somewhere, and tables of codes name every code that the product has."""

import json
import re
from pathlib import Path
from typing import get_args
from urllib.parse import unquote

import pytest

from local.processes import ROOT
from prepaid.use_cases.verifying.findings import Code
from tests.support.documents import DOCUMENTS


def prose(document: Path) -> str:
    """The document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_heading(document: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", prose(document)) if not re.match(r"[a-z]+:", link)]

    broken = []
    for link in links:
        path, _, anchor = unquote(link).partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def test_no_document_needs_uv_on_the_path() -> None:
    """`make` may have installed it into .local only."""
    commands = {document: re.findall(r"\buv (?:run|sync|pip)\b", document.read_text("utf-8")) for document in DOCUMENTS}

    assert {document.name for document, found in commands.items() if found} == set()


def test_callers_find_every_status_and_code_of_the_contract() -> None:
    operations = [
        operation
        for path in json.loads((ROOT / "openapi.json").read_text("utf-8"))["paths"].values()
        for operation in path.values()
    ]
    contract = {
        (status, code)
        for operation in operations
        for status, response in operation["responses"].items()
        if int(status) >= 400 and "application/problem+json" in response["content"]
        for code in response["description"].split(", ")
    }

    rows = re.findall(r"^\| (\d{3}) \| (.+?) \|", (ROOT / "docs/integrating.md").read_text("utf-8"), re.MULTILINE)
    documented = {(status, code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}

    assert documented == contract


def test_every_time_in_the_contract_has_the_format_date_time() -> None:
    schemas = json.loads((ROOT / "openapi.json").read_text("utf-8"))["components"]["schemas"]

    times = {
        f"{name}.{field}": json.dumps(schemas["TimeOrNone"] if "$ref" in schema else schema)
        for name, shape in schemas.items()
        for field, schema in shape.get("properties", {}).items()
        if field in {"at", "as_of"} or field.endswith("_at")
    }

    assert len(times) > 10
    assert [field for field, schema in times.items() if '"format": "date-time"' not in schema] == []


def test_maintainers_find_every_kind_of_row() -> None:
    keys = (ROOT / "layers/prepaid/prepaid/store/keys.py").read_text("utf-8")
    rows = re.findall(r"^\| \[.+?\) \| (.+?) \| (.+?) \|", (ROOT / "DESIGN.md").read_text("utf-8"), re.MULTILINE)

    names = r"(?<![A-Za-z])[A-Z][A-Z_]*(?![A-Za-z])"
    texts = set(re.findall(rf'"({names})[#"]', keys)) - {"PK", "SK", "S"}

    assert {name for row in rows for part in row for name in re.findall(rf"`({names})", part)} >= texts
    assert len(texts) > 20


def test_maintainers_find_every_part_of_the_product() -> None:
    layer = ROOT / "layers/prepaid/prepaid"
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    [tree] = re.findall(r"^## Find your way\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)

    parts = {path.stem for path in layer.iterdir() if "__" not in path.stem}
    use_cases = {path.stem for path in (layer / "use_cases").iterdir() if "__" not in path.stem}

    assert parts - set(re.findall(r"\w+", tree)) == set()
    assert parts - set(re.findall(r"\w+", (layer / "__init__.py").read_text("utf-8"))) == set()
    assert use_cases - set(re.findall(r"\w+", tree)) == set()
    assert len(use_cases) > 15


def test_operators_find_every_code_of_the_verifier() -> None:
    rows = re.findall(r"^\| (`.+?) \|", (ROOT / "docs/operating.md").read_text("utf-8"), re.MULTILINE)

    assert {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)} == set(get_args(Code))
