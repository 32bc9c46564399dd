"""A pytest plugin for long runs: a line when a suite begins, now and then, and when it ends, instead of dots.

A suite is a directory below `tests`, or `fake_stripe/tests`.
"""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

SILENCE_SECONDS = 20.0


class Suites:
    """Counts the tests of each suite that have ended."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter
        self._total: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._began: dict[str, float] = {}
        self._reported_at = time.monotonic()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._expect(ids)

    def _expect(self, ids: Iterable[str]) -> None:
        # Each worker collects all tests.
        self._total = Counter(map(suite_of, ids)) or self._total

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        suite = suite_of(nodeid)
        if suite not in self._began:
            self._began[suite] = time.monotonic()
            self._report(f"{suite}: {self._total[suite]} tests begin")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        suite = suite_of(report.nodeid)
        self._failed[suite] += report.failed

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        suite = suite_of(nodeid)
        self._ended[suite] += 1
        if self._ended[suite] == self._total[suite]:
            seconds = round(time.monotonic() - self._began[suite])
            result = f"{self._failed[suite]} failed" if self._failed[suite] else "passed"
            done = sum(self._ended[name] == count for name, count in self._total.items())
            time_taken = f"{seconds // 60}:{seconds % 60:02}"
            self._report(f"{suite}: {result} after {time_taken} min. {done} of {len(self._total)} suites are done")
        elif time.monotonic() - self._reported_at > SILENCE_SECONDS:
            self._report(f"{suite}: {self._ended[suite]} of {self._total[suite]} tests are done")

    def _report(self, text: str) -> None:
        self._reporter.ensure_newline()
        self._reporter.write_line(text)
        self._reporter.flush()
        self._reported_at = time.monotonic()

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """Count a test that passed, and print nothing."""
        return ("passed", "", "") if report.when == "call" and report.passed else None


def suite_of(nodeid: str) -> str:
    """The two first parts of the path: tests/store, fake_stripe/tests."""
    return "/".join(nodeid.partition("::")[0].split("/")[:2])


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Watch from the process that prints."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Suites(reporter))
