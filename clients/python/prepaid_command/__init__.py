"""The entry point of the command line `prepaid`.

It imports nothing of the client before `main`, so that Ctrl-C ends the program quietly even while it loads.
"""

import sys

# The exit code with which shells report a program that SIGINT ended.
INTERRUPTED = 130


def main() -> None:
    """Run the command line, or explain how to install the packages that it needs."""
    try:
        from prepaid_client.cli.commands import app  # noqa: PLC0415 - Ctrl-C comes while it loads, and it may not load

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "rich", "segno"}:
            raise
        sys.exit("prepaid: the command line needs more packages: pip install 'prepaid-client[cli]'")
