"""The scanner of `make check` finds each kind of secret and reports no ordinary text."""

import secrets
import string
import subprocess
from pathlib import Path

import pytest

from local import secret_scan

LETTERS = string.ascii_letters + string.digits


def letters(number: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(number))


# Concatenated, so that the scanner finds none of them in this file.
SECRETS = {
    "AWS Access Key": "AKIA" + "Q7XZ" * 4,
    "Stripe key": "rk_" + "live_" + letters(24),
    "Stripe webhook secret": "whsec" + "_" + letters(32),
    "Private Key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "JSON Web Token": "eyJ" + letters(20) + "." + letters(40) + "." + letters(43),
    "GitHub Token": "ghp" + "_" + letters(36),
    "GitHub fine-grained token": "github" + "_pat_" + letters(22),
    "registry token": "pypi" + "-" + letters(40),
    "Slack Token": "xoxb" + "-123456789012-" + letters(16),
    "Google key": "AIza" + letters(35),
    "Basic Auth Credentials": "postgres" + "://admin:" + "hunter22@db.example.com",
    "random text": "aB3" + "".join(dict.fromkeys("xYz9Kq2Lw8Mv7Nc6Pb5Rd4Te1SfUgHhJj0")) + "Wi",
}
HARMLESS = [
    "import prepaid.store.purchases as purchases",
    "sha256:13b2beaad985e05e2d6407ee4c4f35590b11f8d693a258a561055cac8f64cab7",
    '{"api_key": "rk_live_…", "webhook_secrets": ["whsec_…"]}',
    "test_a_credit_that_expires_now_is_not_spent_whatever_the_clock_says",
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html",
    "http://127.0.0.1:4566/_aws/execute-api/d13cdd92",
]


# Named, since they differ from worker to worker.
@pytest.mark.parametrize(("kind", "secret"), SECRETS.items(), ids=list(SECRETS))
@pytest.mark.parametrize(
    "line", ["{}", 'key = "{}"', "export KEY={}", "  - {} # mine", "-H 'Authorization: Bearer {}'"]
)
def test_a_secret_is_found_in_every_kind_of_line(kind: str, secret: str, line: str) -> None:
    found = list(secret_scan.secrets_in(line.format(secret)))
    assert kind in {name for name, _ in found}


def test_every_pattern_of_our_own_has_an_example() -> None:
    assert set(secret_scan.OWN) <= set(SECRETS)


@pytest.mark.parametrize("line", HARMLESS)
def test_ordinary_text_is_not_reported(line: str) -> None:
    assert list(secret_scan.secrets_in(line)) == []


def test_a_removed_secret_is_found_in_the_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    allowed = tmp_path / "allowed.txt"
    allowed.write_text("# nothing\n")
    git("init")
    for text in ("nothing\n", f"key = '{SECRETS['Stripe webhook secret']}'\n", "nothing any more\n"):
        (tmp_path / "settings.py").write_text(text)
        git("add", "settings.py")
        git("commit", "-m", "settings")

    assert secret_scan.main(tmp_path, allowed) == 1
    printed = capsys.readouterr().out
    assert "settings.py: Stripe webhook secret whsec_" in printed
    assert SECRETS["Stripe webhook secret"] not in printed

    allowed.write_text(f"# for tests\n{SECRETS['Stripe webhook secret']}\n")
    assert secret_scan.main(tmp_path, allowed) == 0
