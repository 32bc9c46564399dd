"""`make audit`: checks every locked version, including tools, against the Python Packaging Advisory Database."""

import subprocess
import sys
from pathlib import Path

from local.processes import STATE, LocalStackError, own_environment
from local.tools import REQUIREMENTS, python_of, uv

NOT_ASKED = "could not be audited"
EXPORT = ("export", "--quiet", "--locked", "--all-groups", "--no-emit-project", "--format", "requirements-txt")


def main() -> int:
    """0 only if the database was queried for every version and lists no vulnerability."""
    ours = STATE / "tmp" / "audit.txt"
    ours.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([uv(), *EXPORT, "--output-file", str(ours)], check=True, stdout=subprocess.DEVNULL)
    passed = [audit(listed) for listed in (ours, *sorted(REQUIREMENTS.glob("*.txt")))]
    return 0 if all(passed) else 1


def audit(listed: Path) -> bool:
    """Audit one requirements file with hashes. Returns whether no vulnerability is known."""
    # Strict, because otherwise a version that couldn't be queried would pass silently.
    command = [python_of("pip-audit"), "-m", "pip_audit", "--strict", "--disable-pip", "--require-hashes"]
    command += ["--progress-spinner", "off", "--requirement", listed]
    ended = subprocess.run(list(map(str, command)), env=own_environment(), capture_output=True, text=True, check=False)
    report = (ended.stdout + ended.stderr).strip()
    print(f"{listed.name}: {report}")
    if ended.returncode and ("not found on PyPI" in report or "Connection" in report or NOT_ASKED in report):
        print(f"{listed.name}: NOTHING IS PROVEN: PyPI's advisories (https://pypi.org/pypi/…/json) were not reached")
    return ended.returncode == 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LocalStackError, subprocess.CalledProcessError) as error:
        sys.exit(f"make audit: {error}")
