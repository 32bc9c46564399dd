"""Bugs in the subscription page's history, its reports and their files."""

from tests.planted_bugs.bug import Bug

PAGE_READING = (
    Bug(
        "the last day of a period is left out",
        "_read_form",
        "day_start(last + timedelta(days=1), zone)",
        "day_start(last, zone)",
        ("test_days_are_days_of_the_accounts_zone",),
    ),
    Bug(
        "days are those of UTC",
        "_read_form",
        "since=day_start(first, zone) if first else None",
        'since=day_start(first, "UTC") if first else None',
        ("test_days_are_days_of_the_accounts_zone",),
    ),
    Bug(
        "lines that move nothing are listed",
        "read_between",
        "is_shown(entry) or not lines_only",
        "True",
        ("test_lines_that_move_nothing_are_left_out_of_the_list",),
    ),
    Bug(
        "a filter by type hides what it asks for",
        "read_lines",
        "lines_only=form.filters.type is None",
        "lines_only=True",
        ("test_lines_that_move_nothing_are_left_out_of_the_list",),
    ),
    Bug(
        "the next page of lines repeats the last line",
        "read_between",
        "before = found.before or first",
        "before = found.before + 1 if found.before else first",
        ("test_pages_together_hold_every_line_once",),
    ),
    Bug(
        "the file ends with the page",
        "portal:_file",
        "replace(form, before=None), MAX_LINES",
        "replace(form, before=None), LINES",
        ("test_an_incomplete_file_says_so_in_its_last_line",),
    ),
    Bug(
        "a file that is cut doesn't say so",
        "portal:_file",
        "if found.before or len(rows) < len(found.entries):",
        "if len(rows) < len(found.entries):",
        ("test_an_incomplete_file_says_so_in_its_last_line",),
    ),
    Bug(
        "the file of Brazil has commas",
        "DELIMITERS",
        '"pt-BR": ";"',
        '"pt-BR": ","',
        ("test_the_file_is_for_a_spreadsheet_in_brazil",),
    ),
    Bug(
        "the file begins without its mark",
        "csv_response",
        '"".join([BYTE_ORDER_MARK, *lines])',
        '"".join(lines)',
        ("test_the_file_is_for_a_spreadsheet_in_brazil",),
    ),
    Bug(
        "the statement's file adds what was spent",
        "statement_cells",
        "-use.credits",
        "use.credits",
        ("test_the_statements_file_adds_up",),
    ),
    Bug(
        "the statement leaves out what is rare",
        "_moved",
        "if name not in USED and (credits or name in always)",
        "if name not in USED and name in always",
        ("test_a_rare_movement_has_its_line",),
    ),
    Bug(
        "the service report counts other features",
        "_consumptions",
        'Filters(type="consumption", feature=feature, source=None, since=None, until=None)',
        'Filters(type="consumption", feature=None, source=None, since=None, until=None)',
        ("test_the_service_reports_file_has_every_use",),
    ),
    Bug(
        "the service report has other months",
        "_consumptions",
        "first = statement.last_entry - statement.entries + 1",
        "first = 1",
        ("test_a_month_without_use_says_so",),
    ),
)
