"""The commands and the Python of the documents run as they are."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.api import CLIENTS, CODE, PURCHASES
from tests.support.bridge import token
from tests.support.handlers import Clock
from tests.support.served import Served

ROOT = Path(__file__).parents[2]
GUIDE = "docs/integrating.md"


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run_python(document: str) -> None:
    """Run the blocks of a document one after another."""
    known: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(document, "python"):
        exec(block, known)  # noqa: S102 - our own document
    for name in ("prepaid", "shop", "till"):
        if name in known:
            known[name].transport.close()  # type: ignore[attr-defined]


def run_shell(document: str, folder: Path) -> Mapping[str, str]:
    """Run the commands of a document in one shell in this folder. Returns the environment that they leave."""
    script = "\n".join([*blocks(document, "sh"), "env -0 > environment"])
    subprocess.run(["bash", "-eu", "-c", script], cwd=folder, env={"PATH": os.environ["PATH"]}, check=True)
    left = (folder / "environment").read_text("utf-8").split("\0")
    return dict(variable.split("=", 1) for variable in left if variable)


@pytest.fixture
def shop(served: Served, clock: Clock, fake: object) -> Served:
    """The documents' account, which `make run` has too."""
    clock.now = datetime.now(UTC)
    served.service.open("petshop-1", credits=1000, plan="trio", ai_enabled=True)
    served.service.set_code(account="petshop-1")
    return served


@pytest.fixture
def folder(shop: Served, tmp_path: Path) -> Path:
    """A folder with the file that `make run` writes."""
    (tmp_path / ".local").mkdir()
    tokens = {name: token(claims) for name, claims in CLIENTS.items()}
    stack = {"api_url": shop.url, "tokens": tokens, "demo_account": "petshop-1", "manager_code": CODE}
    (tmp_path / ".local/stack.json").write_text(json.dumps(stack))
    return tmp_path


def types(shop: Served) -> list[str]:
    return [entry["type"] for entry in shop.service.history("petshop-1")]


def test_the_readme_of_the_client_runs(
    shop: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREPAID_URL", shop.url)
    monkeypatch.setenv("PREPAID_TOKEN", token(CLIENTS["service"]))

    run_python("clients/python/README.md")

    assert "2 stickers" in capsys.readouterr().out
    balance = shop.service.balance("petshop-1")
    assert (balance["credits"]["available"], balance["quotas"][0]["used"]) == (996, 4)


def test_the_guide_for_callers_runs(
    shop: Served, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its commands, then its Python in the environment that they leave."""
    environment = run_shell(GUIDE, folder)
    after_commands = types(shop)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run_python(GUIDE)

    bought = shop.service(PURCHASES, "petshop-1").body
    assert after_commands == ["capture", "hold", "reversal", *["consumption"] * 3, "grant", "plan_change"]
    # The Python sends the same keys, but for one charge and one hold.
    assert types(shop)[: -len(after_commands)] == ["capture", "hold", "consumption"]
    assert "charged" in capsys.readouterr().out
    assert [purchase["state"] for purchase in bought["purchases"]] == ["cancelled"]
