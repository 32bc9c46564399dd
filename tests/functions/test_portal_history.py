"""The page's history: filters, pages, details and the file for a spreadsheet."""

import csv
import io
import re
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from prepaid.portal.csv_files import within_bytes
from prepaid.store.dynamodb import Table
from tests.support.api import CODE, CONSUME, PATCH_ACCOUNT
from tests.support.browser import Browser, Page
from tests.support.functions import Deployment
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.store_driver import FakeTime, StoreDriver
from tests.support.whole_table import WholeTable

DAY = timedelta(days=1)
PATH = "/portal/history"


@pytest.fixture
def shop(service: Service, clock: Clock) -> Service:
    """Account acme: 500 credits on June 16, a sticker on the 17th, AI services from quota and credits on the 18th."""
    service.open(plan="trio", ai_enabled=True, credits=500)
    assert service.set_code().status == 204
    clock.now += DAY
    service(CONSUME, json={"feature": "sticker", "quantity": 1, "customer": "Maria", "description": "Rex"})
    clock.now += DAY
    service.spend(302, "ai_service")
    return service


def entered(shop: Service, **link: Any) -> Browser:
    browser = Browser(shop.functions)
    address = str(shop.portal_session(**link).body["url"]).removeprefix("https://api.example.com")
    assert browser.send(browser.open(address).forms[0], code=CODE).path == "/portal"
    return browser


@pytest.fixture
def browser(shop: Service) -> Browser:
    return entered(shop)


def numbers(page: Page) -> list[int]:
    """The numbers of the lines, as their details show them."""
    return [int(number) for number in re.findall(r"<dt>(?:Linha nº|Line no\.)</dt><dd>(\d+)</dd>", page.html)]


def links(page: Page) -> dict[str, str]:
    """The addresses of the page's links within the history, by their text."""
    found = re.findall(r'<a [^>]*href="(/portal/history[^"]*)"[^>]*>([^<]+)</a>', page.html)
    return {text.strip(): address.replace("&amp;", "&") for address, text in found}


def rows(page: Page, delimiter: str = ";") -> list[list[str]]:
    assert page.status == 200
    assert page.html.startswith("\ufeff")
    return list(csv.reader(io.StringIO(page.html.removeprefix("\ufeff")), delimiter=delimiter))


def test_the_history_has_every_line_newest_first(browser: Browser) -> None:
    page = browser.open(PATH)

    assert numbers(page) == [4, 3, 2, 1]
    assert "Maria" in page.text


def test_lines_that_move_nothing_are_left_out_of_the_list(shop: Service, browser: Browser) -> None:
    assert shop(PATCH_ACCOUNT, json={"time_zone": "America/Manaus"}).status == 200
    shop.spend()

    page = browser.open(PATH)

    assert numbers(page) == [6, 4, 3, 2, 1]
    assert numbers(browser.open(f"{PATH}?type=plan_change")) == [5, 1]
    # The file has every entry, because a missing number would look like a lost line.
    lines = browser.open(f"{PATH}?download=csv").html.splitlines()
    assert [line.partition(";")[0] for line in lines[1:]] == ["6", "5", "4", "3", "2", "1"]


def test_a_page_of_lines_is_full_without_those_that_move_nothing(shop: Service) -> None:
    driver = StoreDriver(shop.table)
    driver.debit_in_bulk(40)
    for zone in ("America/Manaus", "America/Bahia", "America/Recife"):
        assert shop(PATCH_ACCOUNT, json={"time_zone": zone}).status == 200
    driver.debit_in_bulk(140)
    browser = entered(shop)

    first = browser.open(PATH)
    second = browser.open(links(first)["Mais antigas"])

    assert len(numbers(first)) == len(numbers(second)) == 50
    assert not set(numbers(first)) & set(numbers(second))


def test_details_show_the_draws_and_the_caller(browser: Browser) -> None:
    text = browser.open(PATH, method="GET").text

    assert "Lote da linha 2 −2 · último dia de uso 16/06/2027" in text
    assert "Pedido por" in text
    assert "Cota −300" in text
    assert "Novo lote +500 · último dia de uso 16/06/2027" in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type=consumption", [4, 3]),
        ("type=grant", [2]),
        ("feature=sticker", [3]),
        ("source=quota", [4]),
        ("source=credits", [4, 3]),
        ("customer=Maria", [3]),
        ("customer=maria", []),
        ("reference=Maria", []),
        ("customer=Maria&type=grant", []),
        ("from=2026-06-17", [4, 3]),
        ("to=2026-06-17", [3, 2, 1]),
        ("from=2026-06-17&to=2026-06-17", [3]),
        ("from=2026-06-18&to=2026-06-17", []),
        ("type=consumption&feature=ai_service&source=&from=&to=", [4]),
    ],
)
def test_each_filter_shows_matching_lines_only(browser: Browser, query: str, expected: list[int]) -> None:
    page = browser.open(f"{PATH}?{query}")

    assert page.status == 200
    assert numbers(page) == expected


def test_days_are_days_of_the_accounts_zone(shop: Service, clock: Clock) -> None:
    """23:30 in São Paulo is 02:30 of the next day in UTC."""
    clock.now = clock.now.replace(hour=2, minute=30) + DAY
    shop.spend()
    browser = entered(shop)

    assert numbers(browser.open(f"{PATH}?from=2026-06-18&to=2026-06-18")) == [5, 4]
    assert numbers(browser.open(f"{PATH}?from=2026-06-19")) == []


def test_the_form_keeps_the_chosen_filters(browser: Browser) -> None:
    page = browser.open(f"{PATH}?type=consumption&from=2026-06-17")

    assert '<option value="consumption" selected>' in page.html
    assert 'value="2026-06-17"' in page.html
    assert links(page)["Limpar os filtros"] == PATH


def test_an_empty_page_names_the_filter_that_hides_lines(browser: Browser) -> None:
    page = browser.open(f"{PATH}?type=consumption&feature=sticker&from=2026-06-18&to=2026-06-18")

    assert "Nenhuma linha corresponde aos filtros." in page.text
    found = {text: address for text, address in links(page).items() if "sem o filtro" in text}
    assert found == {
        "Há linhas sem o filtro “Recurso”. Ver": f"{PATH}?type=consumption&from=2026-06-18&to=2026-06-18",
        "Há linhas sem o filtro “Período”. Ver": f"{PATH}?type=consumption&feature=sticker",
    }
    assert all(numbers(browser.open(address)) for address in found.values())


def test_the_form_keeps_the_chosen_customer(browser: Browser) -> None:
    page = browser.open(f"{PATH}?customer=Maria&reference=%3Cb%3E")

    assert 'name="customer" type="text" maxlength="200" autocomplete="off" value="Maria"' in page.html
    assert "<b>" not in page.html
    assert links(page)["Há linhas sem o filtro “Referência”. Ver"] == f"{PATH}?customer=Maria"


def test_an_empty_page_offers_to_clear_all_filters(browser: Browser) -> None:
    page = browser.open(f"{PATH}?type=expiry&feature=film")

    assert links(page)["Limpar os filtros"] == PATH
    assert not [text for text in links(page) if "sem o filtro" in text]


def test_pages_together_hold_every_line_once(shop: Service) -> None:
    StoreDriver(shop.table).debit_in_bulk(124)
    browser = entered(shop)
    page, found = browser.open(f"{PATH}?type=consumption"), []
    while True:
        found.append(numbers(page))
        if "Mais antigas" not in links(page):
            break
        page = browser.open(links(page)["Mais antigas"])

    assert [len(numbers_shown) for numbers_shown in found] == [50, 50, 22]
    assert [number for numbers_shown in found for number in numbers_shown] == list(range(124, 2, -1))
    assert links(page)["Mais recentes"] == f"{PATH}?type=consumption"


@pytest.mark.parametrize("query", ["type=x", "source=x", "feature=%27", "before=0", "before=-1", "before=1.5"])
def test_parameters_that_no_form_sends_are_not_found(browser: Browser, query: str) -> None:
    assert browser.open(f"{PATH}?{query}").status == 404


@pytest.mark.parametrize("day", ["2026-02-30", "26/11/2026", "0001-01-01", "9999-12-31", "x"])
@pytest.mark.parametrize("name", ["from", "to"])
def test_an_invalid_date_is_named(browser: Browser, name: str, day: str) -> None:
    for download in ("", "&download=csv"):
        page = browser.open(f"{PATH}?{name}={day}{download}")

        assert page.status == 422
        assert "Esta data não existe." in page.text
        assert f'aria-describedby="wrong-{name}"' in page.html


def test_without_a_session_no_history_is_shown(shop: Service) -> None:
    assert Browser(shop.functions).open(PATH).status == 401


def test_reading_writes_nothing(shop: Service, browser: Browser) -> None:
    before = shop.stored()

    for query in ("", "?type=consumption", "?download=csv"):
        browser.open(f"{PATH}{query}")

    assert shop.stored() == before


def test_the_language_form_returns_to_the_filtered_page(browser: Browser) -> None:
    page = browser.open(f"{PATH}?type=consumption&from=2026-06-17")

    english = browser.send(page.form("/portal/language"), language="en")

    assert english.path == f"{PATH}?type=consumption&from=2026-06-17"
    assert "Asked by" in english.text


def test_the_file_is_for_a_spreadsheet_in_brazil(browser: Browser) -> None:
    page = browser.open(f"{PATH}?download=csv")

    assert page.headers["content-type"] == "text/csv; charset=utf-8"
    assert page.headers["content-disposition"] == 'attachment; filename="creditos-acme.csv"'
    assert page.html.count("\r\n") == page.html.count("\n") == 5
    header, last, sticker, *_ = rows(page)
    assert header[:8] == [
        "Linha nº", "Data e hora", "Tipo", "Recurso", "Quantidade", "Créditos", "Cota", "Pago por",
    ]  # fmt: skip
    assert last[:8] == [
        "4", "18/06/2026 10:00", "Uso", "Atendimento da IA", "302", "-2", "-300", "cota e créditos",
    ]  # fmt: skip
    assert sticker[11:15] == ["Rex", "Maria", "", "2: 1"]


def test_the_file_marks_erased_customers(shop: Service, browser: Browser) -> None:
    shop(CONSUME, json={"feature": "sticker", "customer": "Ana", "description": "Mia", "reference": "os-7"})
    assert shop.erase("Ana").body["entries"] == 1

    _, erasure, erased, _, sticker, *_ = rows(browser.open(f"{PATH}?download=csv"))

    assert erasure[11:14] == ["", "", ""]
    assert erased[11:14] == ["", "apagado", ""]
    assert sticker[11:14] == ["Rex", "Maria", ""]


def test_the_english_file_has_commas_and_clear_dates(shop: Service) -> None:
    page = entered(shop, language="en").open(f"{PATH}?download=csv&from=2026-06-01&to=2026-06-30")

    assert page.headers["content-disposition"] == 'attachment; filename="credits-acme-2026-06.csv"'
    header, last, *_ = rows(page, ",")
    assert header[:2] == ["Line no.", "Date and time"]
    assert last[:3] == ["4", "2026-06-18 10:00", "Use"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("from=2026-06-17&to=2026-06-18", "creditos-acme-2026-06-17-2026-06-18"),
        ("from=2026-06-17", "creditos-acme-2026-06-17"),
        ("from=2026-12-01&to=2026-12-31&type=consumption", "creditos-acme-2026-12"),
    ],
)
def test_the_files_name_has_the_account_and_period(browser: Browser, query: str, name: str) -> None:
    page = browser.open(f"{PATH}?download=csv&{query}")

    assert page.headers["content-disposition"] == f'attachment; filename="{name}.csv"'


def test_the_file_honours_the_filters(browser: Browser) -> None:
    assert [row[0] for row in rows(browser.open(f"{PATH}?download=csv&type=consumption&before=4"))[1:]] == ["4", "3"]


def test_no_cell_of_the_file_is_a_formula(shop: Service) -> None:
    shop(CONSUME, json={"feature": "sticker", "description": "=1+1", "customer": 'x;=cmd|"/C"', "reference": "+a"})

    row = rows(entered(shop).open(f"{PATH}?download=csv"))[1]

    assert row[11:14] == ["'=1+1", 'x;\'=cmd|"/C"', "'+a"]


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a\u202eb", "🐶" * 20, "x" * 200, "{{ 7 * 7 }}"])
def test_texts_of_clients_are_shown_as_text(shop: Service, text: str) -> None:
    answer = shop(CONSUME, json={"feature": "sticker", "customer": text, "description": text})
    browser = entered(shop)

    page = browser.open(PATH)

    assert page.status == 200
    assert "<script>alert" not in page.html
    assert answer.status != 201 or text in page.text


def test_an_incomplete_file_states_that_in_its_last_line(
    apps: dict[str, ModuleType], deployment: Deployment, table: Table, clock: Clock
) -> None:
    """In memory, because the account has 10,001 lines."""
    long = WholeTable().table
    driver = StoreDriver(long)
    driver.open(credits=20_000)
    driver.debit_in_bulk(10_001)
    functions = deployment.at(apps, table, clock)
    functions.change(table=replace(long, deadline=FakeTime().deadline()))
    shop = Service(table=long, functions=functions)
    assert shop.set_code().status == 204

    found = rows(entered(shop).open(f"{PATH}?download=csv"))

    assert len(found) == 1 + 10_000 + 1
    assert found[-1] == [
        "Este arquivo não está completo: a última linha é de 16/06/2026 10:00. Baixe o restante com outro período."
    ]


def test_a_file_ends_before_it_is_too_large() -> None:
    short: list[list[str | int | None]] = [["a", 1], ["b" * 10, None], ["c", 2]]

    assert within_bytes(short, 100) == short
    assert within_bytes(short, 30) == short[:2]
    assert within_bytes(short, 5) == []
