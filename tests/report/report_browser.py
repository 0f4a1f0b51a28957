"""A headless Chromium that opens a file and says what it saw."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
LOOK = """
const plots = [...document.querySelectorAll('.plot')];
return {
  text: document.body.innerText,
  requests: performance.getEntriesByType('resource').map(e => e.name),
  width: document.documentElement.scrollWidth,
  window: window.innerWidth,
  scripts: document.scripts.length,
  plots: plots.map(p => ({
    id: p.id,
    label: p.getAttribute('aria-label'),
    // How many values every trace has: cells of a heat map, else points.
    traces: (p.calcdata || []).map(c => c[0] && c[0].z
      ? [...c[0].z].flatMap(row => [...row]).filter(v => v !== null && v !== undefined && !Number.isNaN(v)).length
      : c.filter(point => point.x !== undefined).length),
    size: (() => { const b = p.getBoundingClientRect(); return [b.width, b.height]; })(),
    drawn: p.querySelectorAll('svg.main-svg').length,
    marks: p.querySelectorAll('.plot-container path, .plot-container image').length,
    // Texts that reach outside of their drawing are cut off.
    cut: [...p.querySelectorAll('svg.main-svg text')].filter(t => {
      const a = t.getBoundingClientRect(), b = p.getBoundingClientRect();
      return a.width > 0 && (a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1);
    }).map(t => t.textContent),
  })),
};
"""


@contextmanager
def browser() -> Iterator[Any]:
    """Yield a headless Chromium, or skip where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("there is no Chromium with its chromedriver")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        try:
            yield chrome
        finally:
            chrome.quit()


def look(chrome: Any, page: Path, width: int = 1400) -> dict[str, Any]:
    """Open a page at a width and return what is on it, what the console says, and every request that was made."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for log in ("browser", "performance"):
        chrome.get_log(log)
    chrome.get(page.as_uri())
    end = time.monotonic() + 30
    while not chrome.execute_script("return document.documentElement.dataset.drawn") and time.monotonic() < end:
        time.sleep(0.05)
    seen = chrome.execute_script(LOOK)
    seen["console"] = chrome.get_log("browser")
    seen["network"] = [
        entry["message"] for entry in chrome.get_log("performance") if '"Network.requestWillBeSent"' in entry["message"]
    ]
    return seen
