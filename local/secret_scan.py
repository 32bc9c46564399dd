"""Looks for secrets in every tracked file and every line that a commit ever added: `python -m local.secret_scan`.

Known shapes first, then whatever looks too random to have been typed. What is no secret stands in allowed_secrets.txt.
"""

import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from local.processes import ROOT

ALLOWED = Path(__file__).with_name("allowed_secrets.txt")
SHAPES = {
    "AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "Stripe key": r"\b[spr]k_(?:live|test)_[0-9A-Za-z_]{8,}",
    "Stripe webhook secret": r"\bwhsec_[0-9A-Za-z_]{8,}",
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "JSON web token": r"\beyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{5,}",
    "GitHub token": r"\bgh[opsur]_[0-9A-Za-z]{36}|\bgithub_pat_[0-9A-Za-z_]{22,}",
    "registry token": r"\bpypi-[0-9A-Za-z_-]{32,}|\bnpm_[0-9A-Za-z]{36}",
    "Slack token": r"\bxox[abprs]-[0-9A-Za-z-]{10,}",
    "Google key": r"\bAIza[0-9A-Za-z_-]{35}",
    "password in an address": r"\b[a-z][a-z0-9+]*://[^/\s:@\"'{}]{1,64}:[^/\s:@\"'{}]{3,64}@",
}
KNOWN = re.compile("|".join(f"(?P<k{number}>{shape})" for number, shape in enumerate(SHAPES.values())))
# What is in quotes or after an equals sign, and long enough to be a key.
LONG = re.compile(r"(?<![0-9A-Za-z+/_-])[0-9A-Za-z+/_-]{32,}={0,2}(?![0-9A-Za-z+/_-])")
# Bits a character. English words with underscores have about 3.5, hexadecimal digests at most 4.
RANDOM = 4.5
# Digests of packages, by the hundred; made by a tool, read by another.
MADE = ("uv.lock", "requirements.txt", "local/requirements/")


def found_in(line: str) -> Iterator[tuple[str, str]]:
    """What in a line of text looks like a secret: (kind, the text itself)."""
    for match in KNOWN.finditer(line):
        yield list(SHAPES)[int(str(match.lastgroup)[1:])], match[0]
    for text in LONG.findall(line):
        if entropy(text) >= RANDOM and any(one.isdigit() for one in text) and text.lower() != text:
            yield "random text", text


def entropy(text: str) -> float:
    """Bits a character."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def lines() -> Iterator[tuple[str, str]]:
    """Every line of the tree and of the history, with where it is."""
    for name in git("ls-files", "-z").split("\0"):
        file = ROOT / name
        if name and file.is_file() and not made(name):
            for number, line in enumerate(file.read_text("utf-8", errors="replace").splitlines(), 1):
                yield f"{name}:{number}", line
    name = commit = ""
    for line in git("log", "--patch", "--unified=0", "--no-color", "--no-ext-diff", "--format=commit %h").splitlines():
        if line.startswith("commit "):
            commit = line.removeprefix("commit ")
        elif line.startswith("+++ "):
            name = line.removeprefix("+++ b/")
        elif line.startswith("+") and not made(name):
            yield f"{commit} {name}", line[1:]


def made(name: str) -> bool:
    """Whether a tool made the file, digests and all."""
    return name.endswith(MADE[:2]) or name.startswith(MADE[2]) or name == str(ALLOWED.relative_to(ROOT))


def git(*arguments: str) -> str:
    """What git says."""
    said = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True)
    return said.stdout.decode(errors="replace")


def allowed() -> set[str]:
    """Texts that are no secrets. A line that begins with # says why."""
    rows = ALLOWED.read_text("utf-8").splitlines()
    return {row for row in rows if row and not row.startswith("#")}


def main() -> int:
    """1 when something was found; says where, and no more of it than its beginning."""
    known, seen = allowed(), set[str]()
    for where, line in lines():
        for kind, text in found_in(line):
            if text not in known and text not in seen:
                seen.add(text)
                shown = text if "--show" in sys.argv else f"{text[:10]}…"
                print(f"{where}: {kind} {shown}")
    return 1 if seen else 0


if __name__ == "__main__":
    sys.exit(main())
