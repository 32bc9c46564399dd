"""The pinned SAM command line: `python -m local.sam build`."""

import os
import sys

from local.processes import LocalStackError, own_environment
from local.tools import environment_of, python_of, uv


def command(*arguments: str) -> list[str]:
    """The command line that runs SAM with these arguments."""
    return [str(python_of("sam")), "-m", "samcli", *arguments]


def environment(base: dict[str, str]) -> dict[str, str]:
    """SAM's environment: `base`, Python 3.13 for the functions, uv for the layer, and no telemetry."""
    runtime = environment_of("runtime") / "bin"
    return {**base, "PATH": f"{runtime}{os.pathsep}{base['PATH']}", "UV": uv(), "SAM_CLI_TELEMETRY": "0"}


def main() -> None:
    """Replace this process with SAM, with the caller's AWS credentials and region."""
    caller_variables = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "SAM_"))}
    command_line = command(*sys.argv[1:])
    os.execve(command_line[0], command_line, {**environment(own_environment()), **caller_variables})


if __name__ == "__main__":
    try:
        main()
    except LocalStackError as error:
        sys.exit(f"sam: {error}")
