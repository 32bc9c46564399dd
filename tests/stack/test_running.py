"""The output of `make run`: addresses and tokens, the page's link, a demo account with a history, and the tour."""

import json
import os
import stat
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.__main__ import tour
from local.deploy import client
from local.stack import Stack
from tests.support.api import HISTORY, PURCHASES
from tests.support.over_http import HttpApi, exchange

TOUR_SECONDS = 60


def a_year_ago() -> str:
    return (datetime.now(UTC) - timedelta(days=365)).isoformat()


def test_the_address_file_has_every_address(stack: Stack) -> None:
    written = json.loads(stack.file.read_text("utf-8"))

    assert written == asdict(stack.addresses)
    assert written.keys() >= {"api_url", "stripe_url", "page_url", "demo_account", "manager_code", "tokens"}
    assert written["tokens"].keys() >= {"service", "storefront", "admin"}
    assert all(written["tokens"].values())


def test_only_the_owner_can_read_the_address_file(stack: Stack) -> None:
    assert stat.S_IMODE(stack.file.stat().st_mode) == 0o600


def test_the_demo_account_is_on_plan_trio_with_its_services(api: HttpApi, stack: Stack) -> None:
    [quota] = api.balance(stack.addresses.demo_account)["quotas"]

    assert (quota["feature"], quota["limit"]) == ("ai_service", 300)


def test_the_demo_account_has_a_year_of_history(api: HttpApi, stack: Stack) -> None:
    account = stack.addresses.demo_account

    oldest = api(HISTORY, account=account, query={"limit": "1", "to": a_year_ago()}).body["entries"]
    states = {bought["state"] for bought in api(PURCHASES, account=account).body["purchases"]}

    assert [entry["type"] for entry in oldest] == ["consumption"]
    assert states >= {"open", "granted", "refunded"}


def test_the_reconciliation_finds_the_years_payments_at_stripe(stack: Stack) -> None:
    name = stack.deployed.resources["ReconcileFunction"]

    answer = client(stack.deployed.cloud, "lambda").invoke(FunctionName=name, Payload=b"{}")

    result = json.loads(answer["Payload"].read())
    assert (result["healed"], result["quarantined"], result["failed"]) == (0, 0, 0), result


def test_make_page_prints_a_link_and_the_code(stack: Stack, api: HttpApi) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "local.page", "--stack", stack.file.stem],
        capture_output=True,
        text=True,
        timeout=TOUR_SECONDS,
        check=False,
    )

    assert (printed.returncode, printed.stderr) == (0, "")
    link, words = printed.stdout.splitlines()
    assert link.startswith(f"{stack.addresses.page_url}/portal/enter/")
    # Python doesn't resolve the name, which browsers do.
    form = exchange("GET", link.replace(stack.addresses.page_url, stack.addresses.api_url), None, {})
    assert (form.status, 'name="code"' in form.text) == (200, True)
    assert stack.addresses.manager_code in words


def test_make_page_says_that_no_stack_is_running() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "local.page", "--stack", "nobody"],
        capture_output=True,
        text=True,
        timeout=TOUR_SECONDS,
        check=False,
    )

    assert (printed.returncode, printed.stdout) == (1, "")
    assert "no stack named nobody is running" in printed.stderr


def test_the_tour_works_when_it_is_pasted(api: HttpApi, stack: Stack, tmp_path: Path) -> None:
    before = api.balance(stack.addresses.demo_account)["credits"]["available"]
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
    assert page.startswith(f"{stack.addresses.stripe_url}/pay/cs_")
    assert paid == "paid: 200"
    assert json.loads(balance)["credits"]["available"] == before + 100
    assert json.loads(consumption)["credits"] == 1
    assert [line["type"] for line in json.loads(history)["entries"]][:2] == ["consumption", "purchase"]
    assert api.balance(stack.addresses.demo_account)["credits"]["available"] == before + 99
