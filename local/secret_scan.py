"""Searches every tracked file and every line ever added by a commit for secrets: `python -m local.secret_scan`.

detect-secrets has detectors for most kinds; OWN adds the missing kinds. allowed_secrets.txt lists false positives and
secrets made up for tests.
"""

import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.ip_public import IPPublicDetector

from local.processes import ROOT

ALLOWED = Path(__file__).with_name("allowed_secrets.txt")
OWN = {
    "Stripe key": r"\b[spr]k_(?:live|test)_[0-9A-Za-z_]{8,}",
    "Stripe webhook secret": r"\bwhsec_[0-9A-Za-z_]{8,}",
    "GitHub fine-grained token": r"\bgithub_pat_[0-9A-Za-z_]{22,}",
    "registry token": r"\bpypi-[0-9A-Za-z_-]{32,}|\bnpm_[0-9A-Za-z]{36}",
    "Google key": r"\bAIza[0-9A-Za-z_-]{35}",
}
DETECTORS: list[Any] = list(get_mapping_from_secret_type_to_class().values())
# Only detectors of a specific format: those for keywords, addresses and entropy report hundreds of ordinary lines.
SHAPES = [
    (detector.secret_type, pattern)
    for detector in DETECTORS
    if issubclass(detector, RegexBasedDetector) and detector is not IPPublicDetector
    for pattern in detector().denylist
] + [(kind, re.compile(shape)) for kind, shape in OWN.items()]
# Long enough to be a key, with or without quotes.
LONG = re.compile(r"(?<![0-9A-Za-z+/_-])[0-9A-Za-z+/_-]{32,}={0,2}(?![0-9A-Za-z+/_-])")
# Bits per character. English words with underscores have about 3.5, hexadecimal digests at most 4.
RANDOM = 4.5
# Generated files, full of digests.
GENERATED = ("uv.lock", "requirements.txt", "local/requirements/")


def secrets_in(line: str) -> Iterator[tuple[str, str]]:
    """The secrets in a line of text: (kind, the secret itself)."""
    for kind, shape in SHAPES:
        for match in shape.finditer(line):
            yield kind, match[0]
    for text in LONG.findall(line):
        if entropy(text) >= RANDOM and any(letter.isdigit() for letter in text) and text.lower() != text:
            yield "random text", text


def entropy(text: str) -> float:
    """The text's entropy, in bits per character."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def lines(root: Path) -> Iterator[tuple[str, str]]:
    """Every line of the repository's tracked files and of its history: (place, line)."""
    for name in git(root, "ls-files", "-z").split("\0"):
        file = root / name
        if name and file.is_file() and not generated(name):
            for number, line in enumerate(file.read_text("utf-8", errors="replace").splitlines(), 1):
                yield f"{name}:{number}", line
    name = commit = ""
    log = git(root, "log", "--patch", "--unified=0", "--no-color", "--no-ext-diff", "--format=commit %h")
    for line in log.splitlines():
        if line.startswith("commit "):
            commit = line.removeprefix("commit ")
        elif line.startswith("+++ "):
            name = line.removeprefix("+++ b/")
        elif line.startswith("+") and not generated(name):
            yield f"{commit} {name}", line[1:]


def generated(name: str) -> bool:
    """Whether a tool generates the file, or it is allowed_secrets.txt itself."""
    return name.endswith(GENERATED[:2]) or name.startswith(GENERATED[2]) or name == str(ALLOWED.relative_to(ROOT))


def git(root: Path, *arguments: str) -> str:
    """The output of a git command in the repository."""
    completed = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=True)
    return completed.stdout.decode(errors="replace")


def allowed_in(file: Path) -> set[str]:
    """The texts in allowed_secrets.txt. A line that begins with # explains the next ones."""
    rows = file.read_text("utf-8").splitlines()
    return {row for row in rows if row and not row.startswith("#")}


def main(root: Path = ROOT, allowed: Path = ALLOWED) -> int:
    """Returns 1 if there is a secret. Prints its place and only its beginning; --show prints all of it."""
    allowed_texts, reported, scanned = allowed_in(allowed), set[str](), set[str]()
    for place, line in lines(root):
        if line in scanned:
            continue
        scanned.add(line)
        for kind, secret in secrets_in(line):
            if secret not in allowed_texts and secret not in reported:
                reported.add(secret)
                print(f"{place}: {kind} {secret if '--show' in sys.argv else f'{secret[:10]}…'}")
    return 1 if reported else 0


if __name__ == "__main__":
    sys.exit(main())
