"""A real browser: Debian's Chromium, Chrome, or the one that Playwright downloads."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "The page's tests need a browser. Install Chromium ('apt-get install chromium' on Debian and Ubuntu) or run "
    "'uv run playwright install chromium'."
)


class NoBrowserError(Exception):
    """No browser was found, and none could be downloaded."""


def executable() -> str:
    """The path of a browser on this machine. Raises NoBrowserError."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    downloaded = _downloaded()
    if downloaded is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False, timeout=300)
        downloaded = _downloaded()
    if downloaded is None:
        raise NoBrowserError(MISSING)
    return downloaded


def _downloaded() -> str | None:
    default = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "ms-playwright"
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or default)
    names = ("chrome", "Chromium", "Google Chrome for Testing")
    found = (path for name in names for path in folder.glob(f"chromium-*/**/{name}") if path.is_file())
    return next((str(path) for path in found if os.access(path, os.X_OK)), None)
