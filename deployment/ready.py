"""Checks, before `make deploy` builds, that the environment's settings are valid and AWS accepts the credentials."""

import argparse
import sys
from collections.abc import Sequence

from deployment.settings import SettingsError, account_of, every_parameter, read_environment, read_template


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the environment of the command line. Raises SettingsError."""
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("--environment", required=True, help="a section of samconfig.toml (ENV=)")
    environment = read_environment(parser.parse_args(arguments).environment)
    # The architecture doesn't matter here.
    every_parameter(environment, read_template(), "arm64")
    account_of(environment)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SettingsError as error:
        sys.exit(f"make deploy: {error}")
