"""`make page`: print a new link to the demo account's subscription page, and the code to enter there."""

import argparse
import json
import sys
from urllib.error import URLError

from local import demo
from local.processes import STATE, LocalStackError


def main() -> int:
    """Run the program. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="make page", description=__doc__)
    parser.add_argument("--stack", default="stack", help="a running local stack (STACK=)")
    name = parser.parse_args().stack
    try:
        stack = json.loads((STATE / f"{name}.json").read_text("utf-8"))
        print(demo.page_link(demo.Api(stack["api_url"], stack["tokens"]), stack["demo_account"]))
        print(f"The code is {stack['manager_code']}. The link works once, within 10 minutes.")
    except (FileNotFoundError, URLError):
        print(f"make page: no stack named {name} is running; start it with 'make run STACK={name}'", file=sys.stderr)
        return 1
    except LocalStackError as error:
        print(f"make page: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
