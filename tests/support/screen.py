"""What a person sees: pages in a real browser, on a desktop and a phone, checked by axe, without a console message."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

TIMEOUT_MILLISECONDS = 15_000
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

type Device = Literal["desktop", "phone", "narrow"]
type Scheme = Literal["light", "dark"]

DEVICES: dict[Device, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "is_mobile": True,
        "has_touch": True,
        "device_scale_factor": 2,
    },
    "narrow": {"viewport": {"width": 320, "height": 640}},
}


@dataclass
class Screen:
    """One person's browser window. documents: the addresses it was sent to. problems: messages on its console.

    scripts: whether JavaScript runs.
    """

    page: Page
    scripts: bool = True
    documents: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def check(self) -> None:
        """The page breaks no rule of accessibility, fits its window, and the console is silent.

        Without JavaScript axe can't run: then only the console is checked.
        """
        if not self.scripts:
            assert self.problems == []
            return
        found = Axe().run(self.page, options={"runOnly": RULES}).response["violations"]
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []
        self.check_fit()

    def check_fit(self) -> None:
        """The page doesn't scroll sideways, and the console is silent."""
        widths = self.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths[0] <= widths[1], f"{self.page.url} scrolls sideways: {widths}"
        assert self.problems == []

    def follow(self, request: Request) -> None:
        """Keep the address of a document."""
        if request.is_navigation_request():
            self.documents.add(request.url)

    def note(self, message: ConsoleMessage) -> None:
        """Keep a console message, unless it only says that the page itself is a refusal: 401, 404, 410."""
        refused = message.text.startswith("Failed to load resource: the server responded with a status")
        if not (refused and message.location["url"] in self.documents):
            self.problems.append(f"{message.type}: {message.text}")


@contextmanager
def screen(
    browser: Browser,
    *,
    device: Device = "desktop",
    scheme: Scheme = "light",
    language: str = "pt-BR",
    scripts: bool = True,
) -> Iterator[Screen]:
    """A new window that shares no cookies or storage with other windows. scripts: whether JavaScript is on."""
    context = browser.new_context(
        **DEVICES[device],
        locale=language,
        timezone_id="America/Sao_Paulo",
        color_scheme=scheme,
        reduced_motion="reduce",
        java_script_enabled=scripts,
    )
    context.set_default_timeout(TIMEOUT_MILLISECONDS)
    page = context.new_page()
    shown = Screen(page, scripts)
    page.on("request", shown.follow)
    page.on("console", shown.note)
    page.on("pageerror", lambda error: shown.problems.append(str(error)))
    try:
        yield shown
    finally:
        context.close()
