"""`make fuzz`: each target of targets.py under atheris, then Schemathesis at a deployed local stack.

Findings are written to .local/fuzz. A crash is a file: move it into tests/fuzzing/corpus, for every test run.
"""

import argparse
import platform
import site
import subprocess
import sys
import tempfile
from pathlib import Path

from local import demo
from local.processes import ROOT, STATE, LocalStackError, own_environment
from local.stack import Options, local_stack
from local.tools import python_of
from tests.fuzzing.explorer import explore
from tests.fuzzing.targets import CORPUS, TARGETS
from tests.support.over_http import HttpApi

FOUND = STATE / "fuzz"
MAX_BYTES = 4_096
# atheris has wheels for these systems only.
ABLE = ("Linux", "x86_64")


def main() -> int:
    """Run the targets. Returns 1 when something was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target, and for the contract (SECONDS=)")
    parser.add_argument("targets", nargs="*", default=[*TARGETS, "contract"], help="TARGETS=")
    chosen = parser.parse_args()
    for target in chosen.targets:
        if target not in {*TARGETS, "contract"}:
            parser.error(f"there is no target {target}, only {', '.join(TARGETS)} and contract")
        report(f"{target}: {chosen.seconds} s")
        if target == "contract":
            fuzz_contract(chosen.seconds)
        elif not fuzz_target(target, chosen.seconds):
            report(f"{target}: found something, see {FOUND.relative_to(ROOT)}")
            return 1
    report("nothing found")
    return 0


def report(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def fuzz_target(target: str, seconds: int) -> bool:
    """Run one target under atheris. Returns whether nothing was found."""
    if (platform.system(), platform.machine()) != ABLE:
        raise LocalStackError(f"atheris runs on {' '.join(ABLE)} only; `make test` runs the same targets everywhere")
    grown = FOUND / target
    grown.mkdir(parents=True, exist_ok=True)
    # The project's own packages come after atheris's environment, which holds nothing else.
    path = [str(ROOT / "layers/prepaid"), str(ROOT), *site.getsitepackages()]
    command = [python_of("atheris"), "-m", "tests.fuzzing.under_atheris", target, grown, CORPUS / target]
    command += [f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", "-timeout=10", "-rss_limit_mb=2048"]
    command += [f"-artifact_prefix={FOUND}/{target}-", "-print_final_stats=1"]
    env = {**own_environment(), "PYTHONPATH": ":".join(path)}
    return subprocess.run(list(map(str, command)), env=env, cwd=ROOT, check=False).returncode == 0


def fuzz_contract(seconds: int) -> None:
    """Run Schemathesis at a stack of its own, so that the catalog may change too."""
    with local_stack(Options(name="fuzz", port=0, stripe_port=0)) as stack, tempfile.TemporaryDirectory() as folder:
        addresses = stack.addresses
        api = HttpApi(addresses.api_url, addresses.tokens)
        account = addresses.demo_account
        api.give(1_000_000, account)
        sessions = [api.manager_session(account, addresses.manager_code) for _ in range(4)]
        bought = api.buy("credits-50", account, session=sessions.pop())
        spent, held = api.spend(account=account), api.hold(account=account)
        words = {
            "path.account": [account],
            "path.id": [bought.body["id"], spent.body["id"], held.body["id"]],
            "body.code": [demo.CODE],
            "header.Manager-Session": sessions,
        }
        report(explore(addresses.api_url, addresses.tokens, words, Path(folder), seconds=seconds))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LocalStackError, AssertionError) as error:
        sys.exit(f"make fuzz: {error}")
