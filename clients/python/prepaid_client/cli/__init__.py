"""The command line `prepaid`."""

import sys


def main() -> None:
    """Run the command line, or say how to install what it needs."""
    try:
        from prepaid_client.cli.commands import app  # noqa: PLC0415 - without the extra there is nothing to import
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "rich", "segno"}:
            raise
        sys.exit("prepaid: the command line needs more packages: pip install 'prepaid-client[cli]'")
    app()
