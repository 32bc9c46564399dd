"""The subscription page: what it shows of every state of an account, and what it costs to read."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from markupsafe import escape

from prepaid.store.ledger import READ_AHEAD_ENTRIES
from tests.support.api import CONSUME, GET_CATALOG, PUT_CATALOG
from tests.support.browser import Browser, Page
from tests.support.handlers import RETURN_URL, Clock
from tests.support.in_process import Service
from tests.support.stripe_purchases import Storefront

DAY = timedelta(days=1)
EVIL = '<script>alert("x")</script>'


def visit(service: Service, account: str = "acme", language: str = "pt-BR") -> Page:
    """The page of an account, freshly entered."""
    service.set_code(account=account)
    browser = Browser(service.functions)
    link = str(service.portal_session(account, language=language).body["url"])
    form = browser.open(link.removeprefix("https://api.example.com")).forms[0]
    page = browser.send(form, code="274913")
    assert (page.path, page.status) == ("/portal", 200)
    return page


def use(service: Service, quantity: int = 1, feature: str = "sticker", **more: str) -> None:
    answer = service(CONSUME, json={"feature": feature, "quantity": quantity, **more})
    assert answer.status == 201


def change_catalog(service: Service, change: Callable[[Any], None]) -> None:
    catalog = service(GET_CATALOG).body
    version = catalog.pop("version")
    change(catalog)
    answer = service(PUT_CATALOG, json=catalog, headers={"if-match": f'"{version}"'})
    assert answer.status == 200, answer


@contextmanager
def throttled(service: Service, affected: Callable[[Any], bool]) -> Iterator[None]:
    """A database that throttles some queries."""

    def refuse(model: Any, params: Any, **_: Any) -> Any:
        if model.name != "Query" or not affected(json.loads(params["body"])):
            return None
        error = {"Code": "ProvisionedThroughputExceededException", "Message": "slow down"}
        return SimpleNamespace(status_code=400, headers={}), {"Error": error, "ResponseMetadata": {}}

    events = service.table.client.meta.events
    events.register("before-call.dynamodb", refuse)
    yield
    events.unregister("before-call.dynamodb", refuse)


def notices(page: Page) -> list[str]:
    found = re.findall(r'(?s)<(p|div) class="notice[^"]*">(.*?)</\1>', page.html)
    return [" ".join(re.sub(r"<[^>]+>", " ", text).split()) for _, text in found]


def rows(page: Page, table: str) -> list[str]:
    [body] = re.findall(rf'(?s)<table class="{table}"[^>]*>.*?<tbody>(.*?)</tbody>', page.html)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall(r"(?s)<tr[^>]*>(.*?)</tr>", body)]


def test_an_account_in_order_has_no_notice(service: Service) -> None:
    service.open(credits=50)

    assert notices(visit(service)) == []


def test_without_credits_the_page_shows_what_has_stopped(service: Service) -> None:
    service.open(manager_contact="Ana, 11 5555-0000")

    page = visit(service)

    [notice] = notices(page)
    assert notice.startswith("Parado por falta de créditos: Figurinha, Atendimento da IA.")
    assert "Compre créditos para continuar já" in notice
    assert "Fale com quem administra o seu sistema : Ana, 11 5555-0000" in notice
    assert "renova" not in notice
    assert f'<a href="{RETURN_URL}">Fale com' in page.html


def test_a_spent_quota_shows_when_it_renews(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True)
    use(service, 100, "ai_service")

    [notice] = notices(visit(service))

    assert "A cota do plano renova em 1 de julho de 2026" in notice


def test_a_quota_that_pays_for_another_feature_does_not_help(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True)

    [notice] = notices(visit(service))

    assert notice.startswith("Parado por falta de créditos: Figurinha.")
    assert "renova" not in notice


def test_too_few_credits_for_a_unit_stop_the_feature(service: Service) -> None:
    service.open(credits=4)
    change_catalog(service, lambda catalog: catalog["features"][0].update(price=5))

    page = visit(service)

    assert notices(page)[0].startswith("Parado por falta de créditos: Figurinha.")
    assert "créditos por uso: 5" in page.text


def test_with_no_pack_on_sale_nobody_is_sent_to_buy(service: Service) -> None:
    service.open()
    change_catalog(service, lambda catalog: catalog.update(packs=[]))

    page = visit(service)

    assert "Compre créditos" not in page.text
    assert 'class="button primary" href="/portal/buy"' not in page.html
    assert "Fale com quem administra" in page.text


def test_packs_of_another_currency_are_not_offered_as_a_remedy(service: Service) -> None:
    service.open(currency="usd")

    page = visit(service)

    assert "Compre créditos" not in page.text
    assert 'class="button primary" href="/portal/buy"' not in page.html
    assert "Fale com quem administra" in page.text


def test_a_quota_that_is_off_is_not_promised(service: Service) -> None:
    service.open(plan="trio", credits=1)

    page = visit(service)

    assert "a IA está desligada para esta conta" in page.text
    assert "usados neste período" not in page.text


def test_a_free_feature_has_no_limit(service: Service) -> None:
    service.open()
    change_catalog(service, lambda catalog: catalog["features"][0].update(price=0))

    page = visit(service)

    assert "Figurinha grátis" in page.text
    assert notices(page)[0].startswith("Parado por falta de créditos: Atendimento da IA.")


def test_owed_credits_are_explained(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    use(service, 60)
    storefront.deliver_all(storefront.refund(purchase))

    page = visit(service)

    assert notices(page)[0].startswith("Créditos devidos: 60. Um pagamento foi devolvido")
    assert 'class="card balance owing"' in page.html
    assert rows(page, "lines")[0].endswith("Reembolso créditos devidos: 60 −40 Saldo 0")


def test_a_purchase_that_settles_a_debt_shows_that(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    use(service, 60)
    storefront.deliver_all(storefront.refund(purchase))
    storefront.deliver_all(storefront.pay(storefront.buy()))

    assert rows(visit(service), "lines")[0].endswith("Compra de créditos quitou créditos devidos: 60 +40 Saldo 40")


def test_lots_that_end_soon_have_one_notice(service: Service) -> None:
    service.open()
    for days in (3, 4, 5, 6, 20, 60):
        service.give(
            10, expires_at=f"2026-{'06' if days < 15 else '07' if days < 40 else '08'}-{(16 + days) % 30:02}T03:00:00Z"
        )

    [notice] = notices(visit(service))

    assert notice == (
        "Créditos que terminam em menos de uma semana 10 · último dia de uso: 18 de junho de 2026 "
        "10 · último dia de uso: 19 de junho de 2026 10 · último dia de uso: 20 de junho de 2026 "
        "20 · mais tarde, ainda nesses 30 dias"
    )


def test_a_lot_that_ends_within_a_day_shows_its_time(service: Service) -> None:
    service.open()
    service.give(10, expires_at="2026-06-17T15:30:00-03:00")
    service.give(10, expires_at="2026-06-18T00:00:00-03:00")

    page = visit(service)

    assert "último dia de uso: 17 de junho de 2026, 15:30" in notices(page)[0]
    assert [row.rpartition("até ")[2] for row in rows(page, "lots")] == ["17/06/2026, 15:30", "17/06/2026"]


def test_lots_show_their_origin(storefront: Storefront, service: Service) -> None:
    storefront.deliver_all(storefront.pay(storefront.buy()))
    service.give(5, reason="Boas-vindas")
    service.give(7, reason="Erro de junho", kind="adjustment", valid_months=14)

    assert rows(visit(service), "lots") == [
        "Cortesia Boas-vindas 5 de 5 até 16/06/2027",
        "Compra desde 16/06/2026 100 de 100 até 16/06/2027",
        "Ajuste Erro de junho 7 de 7 até 16/08/2027",
    ]


def test_many_lots_are_summed_up(service: Service) -> None:
    service.open()
    for month in range(1, 12):
        service.give(month, valid_months=month, reason=f"gift {month}")

    listed = rows(visit(service), "lots")

    assert len(listed) == 9
    assert listed[7] == "Cortesia gift 8 8 de 8 até 16/02/2027"
    assert listed[8] == "Outros, mais tarde: 3 30 até 16/05/2027"


@pytest.mark.parametrize(
    ("language", "opened"), [("pt-BR", "Conta aberta"), ("en", "Account opened"), ("es", "Cuenta abierta")]
)
def test_lines_that_move_nothing_are_left_out(service: Service, language: str, opened: str) -> None:
    service.open(credits=5)
    for zone in ("America/Manaus", "America/Bahia", "America/Sao_Paulo"):
        assert service("PATCH /v1/accounts/{account}", json={"time_zone": zone}).status == 200

    lines = rows(visit(service, language=language), "lines")

    assert len(lines) == 2
    assert opened in lines[1]


def test_a_line_shows_quota_and_credits(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True, credits=50)
    use(service, 110, "ai_service", customer="customer-118", reference="os-7", description="Banho")
    use(service, 3)

    lines = rows(visit(service), "lines")

    assert lines[0].endswith("Figurinha −3 créditos Saldo 37")
    assert lines[1].endswith("Atendimento da IA Banho · customer-118 · os-7 −10 −100 da cota cota e créditos Saldo 40")


def test_a_pending_payment_is_shown_until_it_ends(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    assert "Aguardando" not in visit(service).text

    storefront.deliver_all(storefront.happen(purchase, "confirm", "boleto"))
    assert notices(visit(service))[0].startswith("Aguardando o pagamento de R$ 49,90 por 100 créditos.")

    storefront.deliver_all(storefront.happen(purchase, "pay"))
    assert notices(visit(service)) == []


def test_an_expired_code_is_not_called_waiting(storefront: Storefront, service: Service, clock: Clock) -> None:
    pages = []
    for _ in range(2):
        storefront.deliver_all(storefront.happen(storefront.buy(), "confirm", "pix"))
        clock.now += 3 * DAY
        pages.append(notices(visit(service)))

    assert pages[0][0].startswith("O código para pagar R$ 49,90 por 100 créditos venceu.")
    assert pages[1][0].count("o código venceu") == len(pages)


def test_several_pending_payments_share_one_notice(storefront: Storefront, service: Service) -> None:
    purchases = [storefront.buy() for _ in range(5)]
    for purchase in purchases:
        storefront.deliver_all(storefront.happen(purchase, "confirm", "pix"))

    page = visit(service)

    [notice] = [text for text in notices(page) if "Pagamentos" in text]
    assert notice.startswith("Pagamentos em andamento: 5 100 créditos · R$ 49,90 aguardando o pagamento")
    assert "Outros: 2" in notice
    assert all(page.html.count(f'href="/portal/purchases/{purchase.id}"') == 1 for purchase in purchases)


def test_money_that_is_checked_is_not_called_waiting(storefront: Storefront, service: Service) -> None:
    storefront.deliver_all(storefront.pay(storefront.sell(amount=1)))

    notice = notices(visit(service))[0]

    assert notice.startswith("O pagamento de 100 créditos chegou e está em verificação.")


def test_a_year_of_use_is_drawn_with_its_numbers(service: Service, clock: Clock) -> None:
    service.open(plan="individual", ai_enabled=True, credits=500)
    use(service, 110, "ai_service")
    clock.now += 62 * DAY
    use(service, 7)

    page = visit(service)

    use_rows, balances = re.findall(r'(?s)<table class="numbers">.*?<tbody>(.*?)</tbody>', page.html)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"(?s)<tr>(.*?)</tr>", use_rows)]
    assert cells[0] == ["setembro de 2025", "0", "0", "0", "0"]
    assert cells[-3:] == [
        ["junho de 2026", "100", "10", "0", "110"],
        ["julho de 2026", "0", "0", "0", "0"],
        ["agosto de 2026", "0", "0", "7", "7"],
    ]
    assert len(cells) == 12
    assert re.findall(r'<td class="figure">(.*?)</td>', balances)[-4:] == ["0", "490", "490", "483"]
    legend = "Atendimento da IA · cota Atendimento da IA · créditos Figurinha · créditos"
    assert legend in page.text


def test_an_account_that_never_moved_has_no_empty_chart(service: Service) -> None:
    service.open()

    page = visit(service)

    assert "Ainda não houve uso." in page.text
    assert 'class="chart"' not in page.html


def test_a_year_that_cannot_be_read_is_left_out(service: Service) -> None:
    service.open(credits=9)

    with throttled(service, lambda query: query["ExpressionAttributeValues"][":partition"]["S"] == "STATEMENT#acme"):
        page = visit(service)

    assert "ainda está sendo somado" in page.text
    assert 'class="chart"' not in page.html
    assert rows(page, "lots") == ["Cortesia welcome 9 de 9 até 16/06/2027"]


def test_a_month_too_large_for_the_page_leaves_the_others(service: Service, clock: Clock) -> None:
    service.open(credits=9)
    use(service, 4)
    clock.now += 31 * DAY
    assert "julho de 2026: 0" in visit(service).html

    with throttled(service, lambda query: query["Limit"] == READ_AHEAD_ENTRIES):
        page = visit(service)

    assert "junho de 2026: 4" in page.html
    assert "julho de 2026" not in page.html


@pytest.mark.parametrize(
    "text", [EVIL, "🐕\u200d🦺 Rex 🎉", "אבג דהו", "\u200fעברית\u200f mixed", "M" * 200, "&amp; \"quoted\" 'x'"]
)
def test_texts_of_clients_are_shown_as_text(service: Service, text: str) -> None:
    service.open(name=text, manager_contact=text)
    service.give(5, reason=text)
    use(service, 5, customer=text, reference=text, description=text)

    page = visit(service)

    shown = page.text
    assert shown.count(" ".join(text.split())) >= 6
    assert "<script>alert" not in page.html
    # A name from right to left doesn't turn the numbers around it.
    for place in re.finditer(re.escape(str(escape(text))), page.html):
        before = page.html[: place.start()]
        assert before.endswith("<bdi>") or before.rpartition("<")[2].startswith("title>")


def test_the_page_has_the_colour_of_the_platform(service: Service) -> None:
    service.open()
    plain = service.functions.deps["portal"].portal
    assert plain is not None
    portal = replace(plain, accent="#7a1fa2", accent_dark="#d7a6f0")
    service.functions.change("portal", portal=portal)

    page = visit(service)
    [address] = re.findall(r'<link rel="stylesheet" href="(.*?)">', page.html)
    stylesheet = Browser(service.functions).open(address)

    assert stylesheet.status == 200
    assert "--accent: light-dark(#7a1fa2, #d7a6f0);" in stylesheet.html.rpartition(":root")[2]


def test_the_page_has_the_name_and_logo_of_the_platform(service: Service) -> None:
    service.open(name="Pet Shop da Ana")
    plain = service.functions.deps["portal"].portal
    assert plain is not None
    logo, dark = "https://www.example.com/logo.svg", "https://www.example.com/logo-dark.svg"
    for function in ("portal", "checkout"):
        service.functions.change(function, portal=replace(plain, name="Vet & Cloud", logo=logo, logo_dark=dark))

    page = visit(service)
    refused = Browser(service.functions).open("/portal")

    for shown in (page, refused):
        assert "<bdi>Vet &amp; Cloud</bdi>" in shown.html
        assert f'<source srcset="{dark}" media="(prefers-color-scheme: dark)"><img src="{logo}" alt=""' in shown.html
        assert "Voltar para Vet & Cloud" in shown.text
        # The two pictures, and nothing else of their site.
        assert f"img-src 'self' data: {logo} {dark};" in shown.headers["content-security-policy"]
    assert page.text.index("Vet & Cloud") < page.text.index("Pet Shop da Ana")


@pytest.mark.parametrize(("logo", "sources"), [("", "'self' data:"), ("/brand/logo.svg", "'self' data:")])
def test_a_logo_of_the_pages_own_site_needs_no_permission(service: Service, logo: str, sources: str) -> None:
    service.open()
    plain = service.functions.deps["portal"].portal
    assert plain is not None
    service.functions.change("portal", portal=replace(plain, logo=logo))

    page = visit(service)

    assert f"img-src {sources};" in page.headers["content-security-policy"]
    # Without a name beside it, the picture has an alternative text.
    assert ('<img src="/brand/logo.svg" alt="Logotipo"' in page.html) == bool(logo)


def test_the_page_costs_few_reads(service: Service, clock: Clock) -> None:
    service.open(plan="individual", ai_enabled=True, credits=100)
    for _ in range(12):
        use(service, 3)
        clock.now += 31 * DAY
    visit(service)
    calls: list[str] = []
    listening = service.table.client.meta.events
    browser = Browser(service.functions)
    link = str(service.portal_session().body["url"]).removeprefix("https://api.example.com")
    browser.send(browser.open(link).forms[0], code="274913")
    listening.register("before-call.dynamodb", note := lambda model, **_: calls.append(model.name))

    page = browser.open("/portal")

    listening.unregister("before-call.dynamodb", note)
    assert page.status == 200
    assert Counter(calls) == {"GetItem": 4, "Query": 5}
