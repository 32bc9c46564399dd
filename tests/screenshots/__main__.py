"""`make screenshots`: the pictures of the README and of docs/page.md, of a fresh local stack's demo account."""

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from local import demo
from local.processes import ROOT, LocalStackError, shown
from local.stack import Options, local_stack
from tests.support.chromium import NoBrowserError, executable
from tests.support.screen import Device, Scheme, screen

PICTURES = ROOT / "docs" / "pictures"
# Name of the picture, path of the page, and the window.
SHOTS: tuple[tuple[str, str, Device, Scheme, str], ...] = (
    ("subscription", "/portal", "desktop", "light", "en"),
    ("subscription-phone", "/portal", "phone", "dark", "pt-BR"),
)
MAX_BYTES = 60_000
COLOURS = 40


def main() -> int:
    """Run the program. Returns its exit code: 1 when a picture is too large."""
    with (
        local_stack(Options(name="screenshots", port=0, stripe_port=0), print) as stack,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        api = demo.Api(stack.addresses.api_url, stack.addresses.tokens)
        sizes = []
        for name, path, device, scheme, language in SHOTS:
            with screen(browser, device=device, scheme=scheme, language=language) as window:
                window.page.goto(demo.page_link(api, language=language))
                window.page.locator("#code").fill(demo.CODE)
                window.page.keyboard.press("Enter")
                window.page.wait_for_url("**/portal")
                window.page.goto(f"{stack.addresses.page_url}{path}")
                taken = window.page.screenshot(full_page=device == "desktop")
                sizes.append(save(taken, PICTURES / f"{name}.png"))
        browser.close()
    return int(max(sizes) > MAX_BYTES)


def save(picture: bytes, file: Path) -> int:
    """Write a picture in few colours. Returns its size in bytes."""
    file.parent.mkdir(exist_ok=True)
    Image.open(BytesIO(picture)).convert("RGB").quantize(COLOURS).save(file, optimize=True)
    size = file.stat().st_size
    print(f"{shown(file)}: {size:,} bytes{' (too large)' if size > MAX_BYTES else ''}")
    return size


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LocalStackError, NoBrowserError) as error:
        sys.exit(f"make screenshots: {error}")
