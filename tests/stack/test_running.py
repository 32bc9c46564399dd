"""What `make run` hands to people: the file with addresses and tokens, and the tour."""

import json
import os
import stat
import subprocess
from dataclasses import asdict
from pathlib import Path

from local.__main__ import tour
from local.stack import Stack
from tests.support.over_http import HttpApi

TOUR_SECONDS = 60


def test_the_address_file_has_every_address(stack: Stack) -> None:
    written = json.loads(stack.file.read_text("utf-8"))

    assert written == asdict(stack.addresses)
    assert written.keys() >= {"api_url", "stripe_url", "page_url", "demo_account", "manager_code", "tokens"}
    assert written["tokens"].keys() >= {"service", "storefront", "admin"}
    assert all(written["tokens"].values())


def test_only_the_owner_can_read_the_address_file(stack: Stack) -> None:
    assert stat.S_IMODE(stack.file.stat().st_mode) == 0o600


def test_the_demo_account_is_on_plan_trio_with_its_services(api: HttpApi, stack: Stack) -> None:
    quota = api.balance(stack.addresses.demo_account)["quota"]

    assert (quota["feature"], quota["limit"]) == ("ai_service", 300)


def test_the_tour_works_when_it_is_pasted(api: HttpApi, stack: Stack, tmp_path: Path) -> None:
    # curl fails on a refusal, and bash stops there.
    (tmp_path / ".curlrc").write_text("fail-with-body\n")
    pasted = subprocess.run(
        ["bash", "-e"],
        input=tour(stack.addresses),
        capture_output=True,
        text=True,
        timeout=TOUR_SECONDS,
        env={"PATH": os.environ["PATH"], "CURL_HOME": str(tmp_path)},
        cwd=tmp_path,
        check=False,
    )

    assert (pasted.returncode, pasted.stderr) == (0, ""), pasted.stdout
    packs, page, paid, balance, consumption, history = pasted.stdout.splitlines()
    assert [pack["id"] for pack in json.loads(packs)["packs"] if pack["best_value"]] == ["credits-1000"]
    assert page.startswith(f"{stack.addresses.page_url}/pay/cs_")
    assert paid == "paid: 200"
    assert json.loads(balance)["credits"]["available"] == 100
    assert json.loads(consumption)["credits"] == 1
    assert [line["type"] for line in json.loads(history)["entries"]][:2] == ["consumption", "purchase"]
    assert api.balance(stack.addresses.demo_account)["credits"]["available"] == 99
