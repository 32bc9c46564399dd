"""Another file is another language, without a change to the code."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from babel.dates import get_timezone_location

from prepaid.core.languages import FOLDER

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
