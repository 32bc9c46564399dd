"""Each language is one file: the page, its downloads and the payment page speak it."""

import json

import pytest

from prepaid.core.languages import FOLDER, LANGUAGES, language_file
from tests.support.in_process import Service
from tests.support.page_visits import choose, entered
from tests.support.stripe_purchases import Storefront


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_is_spoken_on_every_screen(service: Service, storefront: Storefront, language: str) -> None:
    file = language_file(language)
    service.give(1234)
    service.spend(1)
    browser = entered(service, language=language)

    pages = [browser.open(path) for path in ("/portal", "/portal/buy", "/portal/history", "/portal/reports")]

    for page in pages:
        assert f'<html lang="{language}">' in page.html
        assert f"{file.texts['tab.subscription']} {file.texts['tab.buy']} {file.texts['tab.history']}" in page.text
        assert f'value="{language}" lang="{language}" aria-pressed="true">{file.name}' in page.html
    assert f"1{file.formats.thousands}233" in pages[0].text
    csv = browser.open("/portal/history?download=csv").html
    assert f"{file.texts['lines.number']}{file.formats.csv_delimiter}" in csv.replace('"', "")
    assert choose(browser, pages[1]).status == 303
    [session] = storefront.fake.state.newest_first("checkout.session")
    assert session["locale"] == file.payment_locale


def test_each_file_has_the_same_fields() -> None:
    contents = [json.loads((FOLDER / f"{language}.json").read_text("utf-8")) for language in LANGUAGES]

    assert all(content.keys() == contents[0].keys() for content in contents)
    assert all(content["formats"].keys() == contents[0]["formats"].keys() for content in contents)
    assert all(
        len(content["formats"]["months"]) == len(content["formats"]["short_months"]) == 12 for content in contents
    )
