"""Each language is one file: the page, its downloads and the payment page speak it. Another file is another one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pytest
from babel.dates import get_timezone_location

from prepaid.core.languages import FOLDER, LANGUAGES, language_file
from tests.support.in_process import Service
from tests.support.page_visits import choose, entered
from tests.support.stripe_purchases import Storefront

ROOT = Path(__file__).parents[2]
MONTHS = ["Januar", "Februar", "März", "April", "Mai", "Juni"]
MONTHS += ["Juli", "August", "September", "Oktober", "November", "Dezember"]
# Enough of German to see that the page speaks it.
GERMAN_FORMATS: dict[str, Any] = {
    "thousands": ".",
    "decimal": ",",
    "money": "{amount}\u00a0{symbol}",
    "money_by_code": "{amount}\u00a0{symbol}",
    "long_date": "{day}. {month} {year}",
    "short_date": "{day:02d}.{number:02d}.{year}",
    "month": "{month} {year}",
    "time": "{hour:02d}:{minute:02d}",
    "csv_delimiter": ";",
    "csv_time": "%d.%m.%Y %H:%M",
    "halves": ["AM", "PM"],
    "months": [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    "short_months": ["Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez"],
}


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


def test_another_file_is_another_language(tmp_path: Path) -> None:
    package = tmp_path / "prepaid"
    shutil.copytree(ROOT / "layers/prepaid/prepaid", package, ignore=shutil.ignore_patterns("__pycache__"))
    english = json.loads((FOLDER / "en.json").read_text("utf-8"))
    texts = {name: f"{text} (auf Deutsch)" for name, text in english["texts"].items()}
    german = {
        "name": "Deutsch",
        "payment_locale": "de",
        "product": "{credits} Guthaben",
        "formats": GERMAN_FORMATS,
        "zones": {zone: get_timezone_location(zone, locale="de", return_city=True) for zone in available_timezones()},
        "texts": texts,
    }
    (package / "core/languages/de.json").write_text(json.dumps(german), "utf-8")

    tests = [
        "tests/functions/test_languages.py",
        "tests/unit/portal/test_texts.py",
        "tests/unit/portal/test_formats.py",
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", "[de]"]
    done = subprocess.run(
        [*command, "-o", f"pythonpath={tmp_path} .", *tests], cwd=ROOT, capture_output=True, text=True, check=False
    )

    # The page in German, its texts, and numbers, changes, dates, times and zones as Babel writes them.
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout
