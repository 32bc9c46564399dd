"""`make audit`: checks every locked version, including tools, against the Python Packaging Advisory Database."""

import subprocess
import sys
from pathlib import Path

from local.processes import STATE, LocalStackError, own_environment
from local.tools import REQUIREMENTS, python_of, uv

NOT_AUDITED = "could not be audited"
EXPORT = ("export", "--quiet", "--locked", "--all-groups", "--no-emit-project", "--format", "requirements-txt")


def main() -> int:
    """0 only if the database was queried for every version and lists no vulnerability."""
    locked = STATE / "tmp" / "audit.txt"
    locked.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([uv(), *EXPORT, "--output-file", str(locked)], check=True, stdout=subprocess.DEVNULL)
    results = [audit(requirements) for requirements in (locked, *sorted(REQUIREMENTS.glob("*.txt")))]
    return 0 if all(results) else 1


def audit(requirements: Path) -> bool:
    """Audit one requirements file with hashes. Returns whether no vulnerability is known."""
    # Strict, because otherwise a version that couldn't be queried would pass silently.
    command = [python_of("pip-audit"), "-m", "pip_audit", "--strict", "--disable-pip", "--require-hashes"]
    command += ["--progress-spinner", "off", "--requirement", requirements]
    completed = subprocess.run(
        list(map(str, command)), env=own_environment(), capture_output=True, text=True, check=False
    )
    report = (completed.stdout + completed.stderr).strip()
    print(f"{requirements.name}: {report}")
    if completed.returncode and ("not found on PyPI" in report or "Connection" in report or NOT_AUDITED in report):
        print(
            f"{requirements.name}: NOTHING IS PROVEN: PyPI's advisories (https://pypi.org/pypi/…/json) were not reached"
        )
    return completed.returncode == 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LocalStackError, subprocess.CalledProcessError) as error:
        sys.exit(f"make audit: {error}")
