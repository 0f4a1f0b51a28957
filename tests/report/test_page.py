"""The page as a reader's browser sees it."""

import json
import re
import subprocess
import sys
import time
from html import unescape
from pathlib import Path

import pytest
from report_browser import browser, look
from report_runs import economy, run

from quesnay.report import Run, html

HOSTILE = ("<script>alert('x')</script>", "\"quoted\" & 'single'", "Ünïcode 経済 $x$ %{y}", "</script><b>bold</b>")
WIDE = ("one-account", "many-regions", "hostile")
CASES = {
    "no-satellites": lambda: run(economy(["all"], list("abcdef"), satellites=False), hit={0: 0.5}),
    "one-account": lambda: run(economy(["all"], ["Only"], satellites=False)),
    "no-shock": lambda: run(economy(["A", "B"], ["Food", "Metal"]), hit={}),
    "long": lambda: run(economy(["A", "B"], ["Food", "Metal", "Power"]), hit={0: 0.5}, steps=2000),
    "idle-sector": lambda: run(economy(["A", "B"], ["Food", "Metal", "Power"], idle=4), hit={0: 0.5}),
    "no-links": lambda: run(economy(["A", "B"], ["Food", "Metal", "Power"], linked=False), hit={0: 0.5}),
    "incomplete": lambda: run(economy(["A", "B"], list("abcd"), drop=(4, 7)), hit={0: 0.5}),
    "many-regions": lambda: run(
        economy([f"R{k:02d}" for k in range(8)], [f"A sector with a long name, number {k}" for k in range(12)]),
        hit=dict.fromkeys(range(0, 90, 9), 0.5),
        inventory=3.0,
        steps=60,
    ),
    "hostile": lambda: run(
        economy(list(HOSTILE[:2]), list(HOSTILE)),
        hit={0: 0.7, 5: 0.4},
        title=HOSTILE[0],
        description=HOSTILE[3],
        scenario="</pre><script>alert(1)</script>",
        shocks=(HOSTILE[0],),
        inputs={HOSTILE[3]: "0"},
    ),
}


@pytest.fixture(scope="module")
def chrome():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(small: Run, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("page") / "index.html"
    file.write_text(html(small), encoding="utf-8")
    return file


def check(seen: dict, page: Path) -> None:
    """What must hold for every page at every width."""
    assert seen["console"] == []
    assert seen["requests"] == []
    urls = [json.loads(m)["message"]["params"]["request"]["url"] for m in seen["network"]]
    assert [url for url in urls if not url.startswith("data:")] == [page.as_uri()]
    assert re.findall(r"\b(?:undefined|NaN|None|nan|inf|Infinity)\b", seen["text"]) == []
    assert seen["width"] <= seen["window"], "nothing sticks out to the side"
    assert seen["plots"]
    for plot in seen["plots"]:
        assert plot["traces"], plot["id"]
        assert all(plot["traces"]), plot
        assert plot["drawn"] > 0, plot["id"]
        assert plot["marks"] > 0, plot["id"]
        assert min(plot["size"]) > 50, plot["id"]
        assert len(plot["label"].split()) >= 3, plot["id"]
        assert plot["cut"] == [], plot["id"]


@pytest.mark.browser
@pytest.mark.parametrize("width", [1400, 700, 420])
def test_a_page_opens_without_errors_or_requests(chrome, page, width):
    check(look(chrome, page, width), page)


@pytest.mark.browser
@pytest.mark.parametrize("case", CASES)
def test_unusual_runs_give_whole_pages(chrome, tmp_path, case):
    file = tmp_path / f"{case}.html"
    file.write_text(html(CASES[case]()), encoding="utf-8")
    assert file.stat().st_size < 8e6
    # Most of the time is Chromium's: a wide window is opened where there is most to draw or the least.
    for width in (1400, 420) if case in WIDE else (420,):
        check(look(chrome, file, width), file)


@pytest.mark.browser
def test_a_page_redraws_itself_to_a_new_width(chrome, page):
    look(chrome, page, 1400)
    size = {"width": 420, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    end = time.monotonic() + 15
    inside = "return [...document.querySelectorAll('.plot')].every(p => p._fullLayout.width <= p.clientWidth)"
    while not chrome.execute_script(inside) and time.monotonic() < end:
        time.sleep(0.1)
    assert chrome.execute_script(inside)


def test_importing_the_report_loads_no_plotly():
    probe = "import quesnay.report, sys; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_plotly_is_inlined_exactly_once_and_nothing_is_linked(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("plotly.js v") == 1
    outside = text.split("<script>", 1)[0]
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)""", outside) == []
    assert "@import" not in outside
    assert "url(" not in outside
    assert len(text.encode()) < 8e6


def test_labels_are_escaped():
    text = html(CASES["hostile"]())
    body = text.split('<script type="application/json"', 1)[0]
    data = text.split('id="panels">', 1)[1].split("</script>", 1)[0]
    for label in HOSTILE:
        assert label in unescape(body)
    assert "<script" not in body
    assert "<b>" not in body
    assert not set(data) & set("<>&")
    assert text.count("<script") - text.split("<script>", 1)[1].split("</script>", 1)[0].count("<script") == 3


def test_the_summary_says_the_computed_numbers(small: Run):
    text = unescape(html(small).split('<section class="lede"', 1)[1].split("</section>", 1)[0])
    output = small.findings.totals["output"]
    assert f"day {output.back}" in text
    assert f"{100 * -output.share:.1f}" in text
    assert "for want of an input" in text


def test_the_same_run_gives_the_same_page(small: Run):
    assert html(small) == html(small)
