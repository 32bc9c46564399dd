"""The page of an account with holds and reversals: what is on hold, their lines, and reports that add up."""

import csv
import io
import re
from datetime import timedelta

import pytest

from tests.support.api import STATEMENT
from tests.support.browser import Page
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.page_visits import entered

HISTORY, REPORTS = "/portal/history", "/portal/reports"
TEXTS = {"customer": "customer-118", "description": "Banho"}
NAMES = {
    "pt-BR": ("Reservado até", "Refere-se à linha", "usadas: 4 (créditos: 4, cota: 0)"),
    "en": ("On hold until", "Refers to line", "used: 4 (credits: 4, quota: 0)"),
    "es": ("Reservado hasta", "Se refiere a la línea", "usadas: 4 (créditos: 4, cuota: 0)"),
}
TITLES = {
    "pt-BR": ("Reserva: ", "Uso de uma reserva: ", "Fim de uma reserva: ", "Devolução de uso: ", "Exclusão de dados"),
    "en": ("Hold: ", "Use of a hold: ", "End of a hold: ", "Reversal: ", "Erasure"),
    "es": ("Reserva: ", "Uso de una reserva: ", "Fin de una reserva: ", "Devolución de uso: ", "Borrado de datos"),
}


@pytest.fixture
def shop(service: Service) -> Service:
    """20 credits since line 2, and stickers.

    A hold of 6 (3) with 4 captured (4), a hold that is released (5, 6), 3 used (7) and 2 of these reversed (8). Line 9
    reverses one captured sticker. The captured stickers are for customer-118.
    """
    service.open(plan="trio", ai_enabled=True, credits=20)
    assert service.set_code().status == 204
    capture = service.capture(service.hold(6, more=TEXTS).body["id"], 4).body["id"]
    service.release(service.hold(5).body["id"])
    use = service.spend(3).body["id"]
    assert service.reverse(use, 2).status == 201
    assert service.reverse(capture, 1).status == 201
    return service


def line(page: Page, number: int) -> str:
    """The HTML of a line."""
    found = re.search(rf'(?s)<tr id="line-{number}">.*?</tr>', page.html)
    assert found
    return found[0]


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def rows(page: Page) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(page.html.removeprefix("\ufeff")), delimiter=";"))


def sums(page: Page) -> dict[str, int]:
    """The statement's lines: credits by name."""
    table = re.search(r'(?s)<table class="sums"[^>]*>(.*?)</table>', page.html)
    assert table
    found = re.findall(r'(?s)<th scope="row">([^<]+?)(?: <span.*?)?</th><td class="figure[^"]*">([^<]+)</td>', table[1])
    return {name.strip(): int(credits.replace("\u2212", "-")) for name, credits in found}


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("pt-BR", "Reservados 7 Devidos 0 A primeira reserva termina até 16 de junho de 2026, 10:05."),
        ("en", "On hold 7 Owed 0 The first hold ends by June 16, 2026, 10:05 AM."),
        ("es", "Reservados 7 Adeudados 0 La primera reserva termina a más tardar el 16 de junio de 2026, 10:05."),
    ],
)
def test_the_page_shows_until_when_credits_are_on_hold(shop: Service, language: str, expected: str) -> None:
    # The quota pays for this one: its end returns no credits.
    shop.hold(10, "ai_service", more={"ttl_seconds": 60})
    shop.hold(3, more={"ttl_seconds": 900})
    shop.hold(4, more={"ttl_seconds": 300})

    assert expected in entered(shop, language).open("/portal").text


def test_without_a_hold_the_page_shows_no_holds(shop: Service, clock: Clock) -> None:
    shop.hold(3, more={"ttl_seconds": 60})
    clock.now += timedelta(seconds=60)

    assert "Reservados" not in entered(shop).open("/portal").text


@pytest.mark.parametrize("language", NAMES)
def test_lines_of_holds_and_reversals_have_their_names(shop: Service, language: str) -> None:
    page = entered(shop, language).open(HISTORY)

    until, refers_to, used = NAMES[language]
    for number, title in zip((3, 4, 6, 8), TITLES[language], strict=False):
        assert re.search(rf"<summary>{title}\S", line(page, number))
    assert f"{until} " in text_of(line(page, 3))
    assert used in text_of(line(page, 4))
    assert f"{refers_to} 3" in text_of(line(page, 4))
    assert f"{refers_to} 5" in text_of(line(page, 6))
    assert f"{refers_to} 7" in text_of(line(page, 8))
    assert "the job failed" in text_of(line(page, 8))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("hold", [5, 3]), ("capture", [4]), ("release", [6]), ("reversal", [9, 8]), ("erasure", [10])],
)
def test_each_new_type_has_a_filter(shop: Service, kind: str, expected: list[int]) -> None:
    assert shop.erase("customer-118").status == 201

    page = entered(shop).open(f"{HISTORY}?type={kind}")

    assert [int(number) for number in re.findall(r'<tr id="line-(\d+)">', page.html)] == expected


@pytest.mark.parametrize("language", TITLES)
def test_an_erasure_has_its_name(shop: Service, language: str) -> None:
    shop.erase("customer-118")

    assert TITLES[language][-1] in text_of(line(entered(shop, language).open(f"{HISTORY}?type=erasure"), 10))


def test_a_capture_shows_its_use_beside_its_texts(shop: Service) -> None:
    assert "Banho · customer-118 · usadas: 4" in text_of(line(entered(shop).open(HISTORY), 4))

    shop.erase("customer-118")

    assert "apagado · usadas: 4" in text_of(line(entered(shop).open(HISTORY), 4))


@pytest.mark.parametrize(("number", "earlier"), [(8, 7), (9, 4)])
def test_a_reversal_leads_to_what_it_reverses(shop: Service, number: int, earlier: int) -> None:
    browser = entered(shop)
    address = re.search(r'href="([^"]*#line-\d+)"', line(browser.open(HISTORY), number))
    assert address
    path, _, anchor = address[1].partition("#")

    page = browser.open(path)

    assert anchor == f"line-{earlier}"
    assert re.findall(r'<tr id="([^"]+)">', page.html)[0] == anchor


def test_holds_that_lapsed_together_have_one_line(shop: Service, clock: Clock) -> None:
    shop.hold(2)
    shop.hold(3, "ai_service")
    clock.now += timedelta(hours=1)
    shop.spend()

    lapse = line(entered(shop).open(HISTORY), 12)

    assert "<summary>Fim de uma reserva" in lapse
    assert re.findall(r"#line-(\d+)", lapse) == ["10", "11"]


def test_credits_that_expired_on_hold_are_shown(shop: Service, clock: Clock) -> None:
    clock.now += timedelta(days=365, hours=13, minutes=50)
    shop.hold(2)
    clock.now += timedelta(hours=1)
    shop.give(1)

    page = entered(shop).open(f"{HISTORY}?type=release")

    assert "Figurinha vencidos durante a reserva: 2" in page.text


def test_the_file_has_the_draws_of_each_line_once(shop: Service) -> None:
    found = rows(entered(shop).open(f"{HISTORY}?download=csv"))

    kinds = {row["Linha nº"]: (row["Tipo"], row["Refere-se à linha"]) for row in found}
    assert kinds["3"] == ("Reserva", "")
    assert kinds["4"] == ("Uso de uma reserva", "3")
    assert kinds["6"] == ("Fim de uma reserva", "5")
    assert kinds["8"] == ("Devolução de uso", "7")
    for row in found:
        drawn = re.fullmatch(r"2: (-?\d+)", row["Lotes (linha: créditos)"])
        # Line 2 granted the lot.
        assert (int(drawn[1]) if drawn else 0) == -int(row["Créditos"]) or row["Linha nº"] == "2"


def test_the_service_report_counts_captures_less_reversals(shop: Service) -> None:
    shop.hold(2, more=TEXTS)

    browser = entered(shop)
    page = browser.open(f"{REPORTS}?feature=sticker")
    found = rows(browser.open(f"{REPORTS}?feature=sticker&download=services"))

    assert "Vezes 4 Pela cota 0 Em créditos 4" in page.text
    assert "customer-118 3 0 3" in page.text
    assert "sem cliente, ou apagado 1 0 1" in page.text
    assert [(row["Tipo"], row["Quantidade"], row["Créditos"]) for row in found] == [
        ("Devolução de uso", "-1", "-1"),
        ("Devolução de uso", "-2", "-2"),
        ("Uso", "3", "3"),
        ("Uso de uma reserva", "4", "4"),
    ]


def test_the_service_report_counts_the_quota_of_a_capture(shop: Service) -> None:
    capture = shop.capture(shop.hold(12, "ai_service").body["id"], 10).body["id"]
    shop.reverse(capture, 3)

    assert "Vezes 7 Pela cota 7 Em créditos 0" in entered(shop).open(f"{REPORTS}?feature=ai_service").text


def test_a_statement_with_holds_and_reversals_adds_up(shop: Service) -> None:
    shop.hold(2)

    page = entered(shop).open(REPORTS)

    lines = sums(page)
    assert lines.pop("Saldo final") == sum(lines.values()) == 14
    assert (lines["Figurinha"], lines["Reservas"]) == (-4, -2)
    assert "Usos devolvidos, já descontados 3" in page.text
    moved = shop(STATEMENT, month="2026-06").body["credits"]
    assert (moved["spent"], moved["reversed"], moved["held"]) == (-7, 3, -2)


def test_a_reversal_of_last_months_use_keeps_the_page_whole(shop: Service, clock: Clock) -> None:
    use = shop.spend(6).body["id"]
    clock.now += timedelta(days=30)
    shop.reverse(use)

    browser = entered(shop)
    page = browser.open("/portal")
    lines = sums(browser.open(REPORTS))

    assert not re.findall(r'(?:width|height|y)="-', page.html)
    assert "julho de 2026 −6 −6" in page.text
    assert lines.pop("Saldo final") == sum(lines.values()) == 16
    assert lines["Figurinha"] == 6
