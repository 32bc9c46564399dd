"""The description of one planted bug."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """`before`, which stands once in the definition `where`, replaced by `after`.

    where: a function, class, method or module-level name of our code, or a resource of template.yaml, in whatever file
    it is. `module:name` restricts the search to files with that module or package in their path.
    before: source code, compared token by token: white space, line breaks, comments and trailing commas don't count
    (in YAML, only white space doesn't). A comma at its end goes too. Empty `after` deletes the code.
    found_by: tests that run first: a test file by its stem (`test_spending`, or `core/test_money_back` when several
    files share the stem), or one test function by its name.
    """

    name: str
    where: str
    before: str
    after: str
    found_by: tuple[str, ...]
