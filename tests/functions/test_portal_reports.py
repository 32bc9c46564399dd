"""The page's reports: a month's statement that adds up, the service report, and their files."""

import csv
import io
import re
from datetime import timedelta

import pytest

from tests.support.api import CODE, CONSUME
from tests.support.browser import Browser, Page
from tests.support.handlers import Clock
from tests.support.in_process import Service

DAY = timedelta(days=1)
PATH = "/portal/reports"


@pytest.fixture
def shop(service: Service, clock: Clock) -> Service:
    """Account acme since June 16: 500 credits, 302 AI services for twelve customers and one without, five stickers."""
    service.open(plan="trio", ai_enabled=True, credits=500)
    assert service.set_code().status == 204
    for number in range(12):
        clock.now += timedelta(minutes=1)
        body = {"feature": "ai_service", "quantity": 13 - number, "customer": f"Cliente {number:02}"}
        assert service(CONSUME, json=body).status == 201
    service.spend(212, "ai_service")
    service.spend(5)
    clock.now += DAY
    return service


def entered(shop: Service, language: str = "pt-BR") -> Browser:
    browser = Browser(shop.functions)
    address = str(shop.portal_session(language=language).body["url"]).removeprefix("https://api.example.com")
    assert browser.send(browser.open(address).forms[0], code=CODE).path == "/portal"
    return browser


@pytest.fixture
def browser(shop: Service) -> Browser:
    return entered(shop)


def sums(page: Page) -> dict[str, int]:
    """The statement's lines: credits by name."""
    table = re.search(r'(?s)<table class="sums"[^>]*>(.*?)</table>', page.html)
    assert table
    found = re.findall(r'(?s)<th scope="row">([^<]+?)(?: <span.*?)?</th><td class="figure[^"]*">([^<]+)</td>', table[1])
    return {name.strip(): int(credits.replace("\u2212", "-").replace(".", "")) for name, credits in found}


def rows(page: Page, delimiter: str = ";") -> list[list[str]]:
    assert page.status == 200
    assert page.html.startswith("\ufeff")
    return list(csv.reader(io.StringIO(page.html.removeprefix("\ufeff")), delimiter=delimiter))


def test_the_statement_adds_up(browser: Browser) -> None:
    page = browser.open(PATH)
    lines = sums(page)

    closing = lines.pop("Saldo final")

    assert sum(lines.values()) == closing == 493
    assert lines == {
        "Saldo inicial": 0,
        "Compras": 0,
        "Cortesias": 500,
        "Devoluções": 0,
        "Atendimento da IA": -2,
        "Figurinha": -5,
        "Vencidos": 0,
        "Estornos": 0,
    }
    assert "Unidades da cota usadas 300" in page.text
    assert "Devidos no início 0" in page.text


def test_a_rare_movement_has_its_line(shop: Service) -> None:
    shop.give(30, kind="adjustment")

    lines = sums(entered(shop).open(PATH))

    assert lines["Ajustes"] == 30
    closing = lines.pop("Saldo final")
    assert sum(lines.values()) == closing == 523


def test_the_current_month_states_until_when(browser: Browser) -> None:
    assert "Parcial: até 17 de junho de 2026, 10:12." in browser.open(PATH).text


def test_a_closed_month_is_marked_as_final(shop: Service, clock: Clock) -> None:
    clock.now += 30 * DAY
    browser = entered(shop)

    page = browser.open(f"{PATH}?month=2026-06")

    assert "Mês encerrado. Este extrato não muda mais." in page.text
    assert ("STATEMENT#acme", "2026-06") in shop.stored()
    assert sums(browser.open(PATH))["Saldo inicial"] == sums(page)["Saldo final"]


def test_each_month_of_the_account_can_be_chosen(shop: Service, clock: Clock) -> None:
    clock.now += 70 * DAY
    page = entered(shop).open(PATH)

    assert re.findall(r'<option value="(\d{4}-\d{2})"', page.html) == ["2026-08", "2026-07", "2026-06"]


@pytest.mark.parametrize("query", ["month=2026-05", "month=2026-07", "month=x", "feature=film", "download=x"])
def test_parameters_that_no_form_sends_are_not_found(browser: Browser, query: str) -> None:
    assert browser.open(f"{PATH}?{query}").status == 404


def test_the_service_report_has_totals_and_the_top_ten_first(browser: Browser) -> None:
    page = browser.open(f"{PATH}?feature=ai_service")
    before, _, after = page.html.partition(">Todos os outros clientes</summary>")

    assert "Vezes 302 Pela cota 300 Em créditos 2" in page.text
    # The uses without a customer are one of the ten lines.
    assert "sem cliente" in before
    assert [f"Cliente {number:02}" in before for number in (0, 8, 9, 11)] == [True, True, False, False]
    assert "Cliente 09" in after


def test_each_use_has_customer_time_and_what_paid(browser: Browser) -> None:
    text = browser.open(f"{PATH}?feature=ai_service").text

    # In words for a phone, then the units, those that the quota paid, and the credits.
    assert "Cliente 00 16/06/2026 10:01 cota 13 13 13 0" in text
    assert "sem cliente, ou apagado 16/06/2026 10:12 cota 210 · créditos 2 212 210 2" in text


def test_the_most_used_feature_comes_first(browser: Browser) -> None:
    assert "Atendimento da IA, junho de 2026" in browser.open(PATH).text
    assert "Figurinha, junho de 2026" in browser.open(f"{PATH}?feature=sticker").text


def test_a_month_without_use_has_a_text(shop: Service, clock: Clock) -> None:
    clock.now += 30 * DAY

    assert "Nenhum uso neste mês." in entered(shop).open(PATH).text


def test_the_statements_file_adds_up(browser: Browser) -> None:
    page = browser.open(f"{PATH}?month=2026-06&download=statement")

    assert page.headers["content-disposition"] == 'attachment; filename="extrato-acme-2026-06.csv"'
    header, *lines = rows(page)
    assert header == ["Item", "Recurso", "Créditos", "Unidades da cota"]
    figures = {(line[0], line[1]): int(line[2]) for line in lines if len(line) == 4}
    owed = [figures.pop((name, "")) for name in ("Devidos no início", "Devidos no fim")]
    assert owed == [0, 0]
    assert figures.pop(("Saldo final", "")) == sum(figures.values()) == 493
    assert ["Uso", "Atendimento da IA", "-2", "300"] in lines
    assert lines[-2:] == [["junho de 2026 (São Paulo)"], ["Parcial até 17/06/2026 10:12"]]


def test_the_service_reports_file_has_every_use(shop: Service) -> None:
    page = entered(shop, "en").open(f"{PATH}?month=2026-06&feature=ai_service&download=services")

    assert page.headers["content-disposition"] == 'attachment; filename="uses-acme-2026-06.csv"'
    header, first, *others = rows(page, ",")
    assert header[:6] == ["Customer", "Date and time", "Quantity", "Paid by", "Units of the quota", "Credits"]
    assert first[:6] == ["", "2026-06-16 10:12", "212", "quota and credits", "210", "2"]
    assert len(others) == 12


def test_the_service_reports_file_marks_erased_customers(shop: Service) -> None:
    assert shop.erase("Cliente 03").body["entries"] == 1

    page = entered(shop, "en").open(f"{PATH}?month=2026-06&feature=ai_service&download=services")

    [erased] = [cells for cells in rows(page, ",")[1:] if cells[2] == "10"]
    assert (erased[0], erased[6:8]) == ("erased", ["", ""])
    assert "Cliente 03" not in page.html


def test_without_a_session_no_report_is_shown(shop: Service) -> None:
    for query in ("", "?download=statement", "?download=services"):
        assert Browser(shop.functions).open(f"{PATH}{query}").status == 401


def test_a_customers_name_is_shown_as_text(shop: Service) -> None:
    shop(CONSUME, json={"feature": "sticker", "customer": '<img src=x onerror="alert(1)">'})

    page = entered(shop).open(f"{PATH}?feature=sticker")

    assert "<img" not in page.html
    assert '<img src=x onerror="alert(1)">' in page.text
