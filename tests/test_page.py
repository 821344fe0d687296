"""The HTML page of a run, in a real browser: Chromium, where Debian's packages are installed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reports import HOSTILE, WITNESS, file, made, one

from einspec.conformance.reports.merge import Merged, read_all
from einspec.conformance.reports.page import page

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Merged:
    """A run of two machines with every verdict, a failure on one of them, and texts that would be markup."""
    folder = tmp_path_factory.mktemp("reports")
    kept = [one("pixel_shuffle/def", "holds", "all 60"), one("merge_heads/dtype.float16", "refused", "no float16")]
    first = made(
        one("split_heads/def", "wrong", HOSTILE, witness=WITNESS),
        one("split_heads/dtype.float16", "wrong", "half of it", witness={"call": "f(x)"}),
        one("split_heads/dtype.float32", "holds"),
        one("split_heads/law.inverse", "known", "declared"),
        one("split_heads/nan", "errored", "lost its process"),
        one("merge_heads/grad.x", "not run", "numpy has no gradients"),
        one("merge_heads/layout.offset", "unsupported", "not here"),
        *kept,
    )
    other = made(one("split_heads/def", "holds"), *kept, one("top_k/def", "holds", name="torch", device="cuda:0"))
    return read_all([file(folder, "box", first), file(folder, "lab", other)])


@pytest.fixture(scope="module")
def path(merged: Merged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a file."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page(merged), encoding="utf-8")
    return path


def test_the_page_is_one_file_that_no_text_can_break_out_of(path: Path, merged: Merged) -> None:
    """It names no other file or host, its scripts are the two of the template, and its data reads back."""
    text = path.read_text("utf-8")
    assert not re.findall(r"(?:src|href|action)=[\"'](?!data:,|#)|url\(|@import|https?://", text)
    assert text.count("</script") == 2
    assert text.count("<script") == 2
    data = json.loads(re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)[0])
    assert {r.reason for r in merged.results if r.reason} <= set(data["strings"])
    assert sum(len(column["flat"]) for column in data["columns"]) == 6 * len(merged.results) + 2 * 7  # two more for each cell


FILLED = "![...document.querySelectorAll('details[open] > div')].some(box => !box.childNodes.length)"
"""Whether everything that is open shows what is inside."""


class Page:
    """The page in a browser."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, fragment: str = "", width: int = 1280, dark: bool = False) -> Page:
        """Load the page anew, as wide as a screen, in the light or the dark."""
        size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        self.driver.get("about:blank")
        self.driver.get(self.url + fragment)
        self.until(FILLED)
        return self

    def run(self, code: str, *arguments: Any) -> Any:
        """Return what JavaScript gives."""
        return self.driver.execute_script(code, *arguments)

    def until(self, condition: str) -> None:
        """Wait until an expression is true: links and openings take effect a moment after they were pressed."""
        end = time.monotonic() + 30
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, condition
            time.sleep(0.02)

    def unfold(self, selector: str) -> None:
        """Open what can be opened, and wait for what is inside."""
        self.run("for (const d of document.querySelectorAll(arguments[0])) d.open = true", selector)
        self.until(FILLED)

    def panel(self, selector: str) -> None:
        """Press what opens the panel, and wait for it and what is open inside."""
        self.find(selector).click()
        self.until(f"document.querySelector('#panel[open]') && {FILLED}")

    def find(self, selector: str) -> Any:
        """Return the first element, which must be there."""
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all elements, shown or not."""
        found: list[str] = self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)
        return found

    def choose(self, field: str, value: str) -> None:
        """Choose an option of a filter."""
        self.find(f"#{field} option[value='{value}']").click()

    def type(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium with a profile of its own."""
    if not (CHROMIUM.exists() and DRIVER.exists()):
        pytest.skip("no Chromium here: Debian's packages chromium and chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def shown(driver: Any, path: Path) -> Iterator[Page]:
    """The page, freshly loaded; whatever a test does with it, the console stays silent and nothing is fetched."""
    found = Page(driver, path.as_uri())
    yield found.open()
    assert driver.get_log("browser") == []
    assert found.run("return performance.getEntriesByType('resource').length") == 0
    assert found.run("return window.pwned") is None


OPS = "tbody th[scope=row]"


def test_every_op_backend_and_device_has_a_cell(shown: Page) -> None:
    """The matrix says the worst of each, the strip of dtypes and the title the rest, and machines are told apart."""
    assert shown.texts(OPS) == ["merge_heads", "split_heads", "pixel_shuffle", "top_k"]
    heads = shown.texts("thead th")
    assert [head.replace("1.0", "") for head in heads] == ["Op", "numpy @ boxcpu", "numpy @ labcpu", "torchcuda:0"]
    assert shown.texts(".cell") == ["1 refused", "1 refused", "1 errored", "1 ✓", "1 ✓", "1 ✓", "1 ✓"]
    assert shown.texts(".none") == ["–"] * 5
    title = shown.find(".cell.errored").get_attribute("title")
    assert "2 wrong" in title
    assert "float16 wrong" in title
    assert shown.texts("#state") == ["failed"]


def test_filters_leave_what_they_name(shown: Page) -> None:
    """By verdict, dtype, backend, device, family and tier; together they narrow, and reset shows everything."""
    shown.find("[data-verdict=wrong]").click()
    assert shown.texts(OPS) == ["split_heads"]
    assert shown.texts(".cell") == ["2 wrong"]
    shown.choose("dtype", "float16")
    assert shown.texts(".cell") == ["1 wrong"]
    shown.find("#reset").click()
    assert len(shown.texts(OPS)) == 4
    assert shown.texts("[aria-pressed=true]") == []
    shown.choose("device", "cuda")
    assert shown.texts("thead th:nth-child(n + 2)") == ["torchcuda:01.0"]
    assert shown.texts(OPS) == ["top_k"]
    shown.choose("device", "")
    shown.choose("backend", "numpy @ lab")
    assert "top_k" not in shown.texts(OPS)
    shown.choose("family", "images")
    assert shown.texts(OPS) == ["pixel_shuffle"]
    shown.choose("tier", "scope")
    assert shown.texts("#status") == ["1 of 13 clauses, 1 of 4 ops"]


@pytest.mark.parametrize(
    ("words", "ops"),
    [
        ("shuffle", ["pixel_shuffle"]),
        ("CRD", ["pixel_shuffle"]),
        ("law.inverse", ["split_heads"]),
        ("no gradients", ["merge_heads"]),
        ("split_heads/nan", ["split_heads"]),
        ("heads float16", ["merge_heads", "split_heads"]),
        ("nothing like it", []),
    ],
)
def test_search_finds_ops_clauses_and_reasons(words: str, ops: list[str], shown: Page) -> None:
    """All words must be found, in names, summaries, clause ids or reasons; nothing found is said."""
    shown.type("/")
    shown.type(words)
    assert shown.texts(OPS) == ops
    assert ("Nothing matches" in shown.texts("#status")[0]) == (not ops)


def test_a_failing_cell_leads_to_its_witness_and_script(shown: Page) -> None:
    """A click shows the clauses, the first failure open, with what was given, expected and got, as plain text."""
    shown.panel(".cell.errored")
    assert shown.texts("#panel-title") == ["split_heads"]
    assert "y[b, h, n, d] = x[b, n, (h,d)]" in shown.texts(".form pre")[0]
    assert len(shown.texts("#panel .clause")) == 5
    assert len(shown.texts("#panel .clause[open]")) == 1
    reason = HOSTILE.replace("\ud800", "?")
    assert reason in shown.texts(".clause[open] .note")[0]
    assert shown.texts("pre.call") == [WITNESS["call"]]
    assert shown.texts("pre.got") == [reason]
    assert shown.texts("pre.script") == [WITNESS["script"]]
    assert shown.find("pre.script").is_displayed()
    assert shown.texts("pre.again") == ["einspec check numpy --op split_heads --device cpu"]
    assert shown.texts("#panel img, #panel script") == []
    shown.unfold(".clause[data-kind='dtype.float16']")
    assert "f(x)" in shown.texts("pre.call")


def test_a_clause_has_a_link_that_opens_it(shown: Page) -> None:
    """The link on a clause leads back to it, in a page that is opened with it."""
    shown.panel(".cell.errored")
    shown.unfold(".clause[data-kind='dtype.float16']")
    link = shown.run("return document.querySelector('.clause[data-kind=\\'dtype.float16\\'] .more a').getAttribute('href')")
    assert link == "#split_heads/dtype.float16/numpy%20%40%20box/cpu"
    shown.open(link)
    assert shown.texts(".clause[open] .id") == ["dtype.float16"]
    assert shown.find(".clause[open]").is_displayed()
    shown.open("#split_heads/nothing/like/it")
    assert not shown.find("#panel").is_displayed()


def test_the_keyboard_suffices(shown: Page) -> None:
    """Enter opens the cell that has the focus, Escape or back closes it, the focus returns, and no cell is out of reach."""
    shown.run("document.querySelector('.cell.errored').focus()")
    shown.type("\ue007")
    shown.until("document.querySelector('#panel[open]')")
    assert shown.run("return document.activeElement.closest('dialog') !== null")
    shown.type("\ue00c")
    shown.until("!document.querySelector('#panel[open]') && !location.hash")
    assert shown.run("return document.activeElement.matches('.cell.errored')")
    shown.panel(".cell.errored")
    shown.run("history.back()")
    shown.until("!document.querySelector('#panel[open]')")
    shown.find("#search").click()
    reached = []
    for _ in range(14):
        shown.type("\ue004")
        reached.append(shown.run("return document.activeElement.className || document.activeElement.id"))
    assert sum(name.startswith("cell ") for name in reached) == 7, reached


def test_what_was_judged_and_where_machines_disagree_is_told(shown: Page) -> None:
    """Versions, platform, what was not run and why, and the clause of which two machines say different things."""
    shown.unfold("#facts")
    said = shown.texts("#facts")[0]
    for part in (
        "box",
        "lab",
        "3.11.7",
        "1.0",
        "scope, property",
        "numpy has no gradients (1; numpy @ box)",
        "no such device: tpu",
    ):
        assert part in said, part
    shown.unfold("#disagree")
    assert shown.texts("#disagree summary") == ["Machines disagree on 1 clause"]
    assert shown.texts("#disagree a") == ["split_heads/def (scope)"]
    sides = shown.texts("#disagree li")
    assert sides[0].startswith("numpy @ box, cpu (numpy 1.0, Linux): wrong, </script>")
    assert sides[1:] == ["numpy @ lab, cpu (numpy 1.0, Linux): holds"]
    shown.panel("#disagree a")
    assert shown.texts(".clause[open] .mark") == ["wrong"]


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("fragment", ["", "#split_heads/numpy%20%40%20box/cpu"])
def test_it_fits_a_phone(width: int, fragment: str, shown: Page) -> None:
    """Neither the page nor an open panel is wider than the screen, and nothing that is pressed is cut off."""
    shown.open(fragment, width)
    shown.unfold("details")
    for box in ("html", "#panel") if fragment else ("html",):
        assert shown.run(f"const e = document.querySelector('{box}'); return e.scrollWidth - e.clientWidth") <= 0, box
    outside = ".filter(e => e.getBoundingClientRect().right > innerWidth).length"
    assert shown.run(f"return [...document.querySelectorAll('.chip, select, input, #reset')]{outside}") == 0


CONTRAST = """
const parse = (c) => { const [r, g, b, a = 1] = c.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
const light = (c) => [.2126, .7152, .0722].reduce((sum, w, i) => sum + w * linear(c[i] / 255), 0);
const behind = (e) => {
  for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3]) return c; }
  return [255, 255, 255];
};
const found = [];
for (const e of document.querySelectorAll('body *')) {
  if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility()) continue;
  if (e.matches('script, option, .skip, caption')) continue;
  const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
  found.push([(a + .05) / (b + .05), e.className + ' ' + e.textContent.slice(0, 30)]);
}
return found;
"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_in_the_light_and_in_the_dark(dark: bool, shown: Page) -> None:
    """All text has the contrast that WCAG AA asks of small text, 4.5 to 1, and the dark page is dark."""
    shown.open("", dark=dark)
    back = shown.run("return getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number)")
    assert (max(back) < 60) == dark
    shown.unfold("#facts")
    shown.unfold("#disagree")
    shown.find("[data-verdict=holds]").click()
    pressed = shown.run(CONTRAST)
    shown.find("#reset").click()
    seen = [*pressed, *shown.run(CONTRAST)]
    shown.open("#split_heads/numpy%20%40%20box/cpu", dark=dark)
    shown.unfold("#panel details")
    seen += shown.run(CONTRAST)
    assert len(seen) > 150
    assert not [entry for entry in seen if entry[0] < 4.5]
