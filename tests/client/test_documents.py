"""The Python of the documents runs as it is."""

import re
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.api import CLIENTS, CODE
from tests.support.bridge import token
from tests.support.handlers import Clock
from tests.support.served import Served

ROOT = Path(__file__).parents[2]


def run(document: str, **names: object) -> int:
    """Run the blocks of a document one after another. Returns how many there are."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    known: dict[str, object] = {"__name__": "document", **names}
    for block in blocks:
        exec(block, known)  # noqa: S102 - our own document
    for name in ("prepaid", "shop", "till"):
        if name in known:
            known[name].transport.close()  # type: ignore[attr-defined]
    return len(blocks)


@pytest.fixture
def shop(served: Served, clock: Clock, fake: object, monkeypatch: pytest.MonkeyPatch) -> Served:
    """The account of the documents, in their month."""
    clock.now = datetime.fromisoformat("2026-11-26T16:00:00Z")
    served.service.open("petshop-1", credits=1000, plan="trio", ai_enabled=True)
    served.service.set_code(account="petshop-1")
    service, storefront = (token(CLIENTS[name]) for name in ("service", "storefront"))
    named = {"PREPAID_URL": served.url, "PREPAID_TOKEN": service, "API": served.url}
    for name, value in {**named, "SERVICE": service, "STOREFRONT": storefront}.items():
        monkeypatch.setenv(name, value)
    return served


def test_the_readme_of_the_client_runs(shop: Served, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = run("clients/python/README.md")

    assert blocks == 6
    assert "2 stickers" in capsys.readouterr().out
    balance = shop.service.balance("petshop-1")
    assert (balance["credits"]["available"], balance["quotas"][0]["used"]) == (996, 4)


def test_the_guide_for_callers_runs(shop: Served) -> None:
    blocks = run("docs/integrating.md", code=CODE)

    assert blocks == 13
    entries = [entry["type"] for entry in shop.service.history("petshop-1")]
    assert entries[:5] == ["capture", "hold", "reversal", "consumption", "consumption"]
