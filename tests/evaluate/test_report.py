"""The report: self-contained, readable in a real browser on a phone and by a screen reader."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FAULTS = (
    "withoutAlt",
    "empty",
    "withoutCaption",
    "withoutScope",
    "unnamedPlots",
    "smallPlots",
    "brokenLinks",
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
]
CHECKS = """
const found = {};
const frame = document.createElement("iframe");
frame.style = "width: 360px; height: 800px; border: 0";
frame.srcdoc = PAGE;
const answer = (found) => {
  const output = document.createElement("output");
  output.textContent = JSON.stringify(found);
  document.body.append(output);
};
const look = () => {
  const page = frame.contentDocument;
  const all = (selector) => [...page.querySelectorAll(selector)];
  found.overflow = page.documentElement.scrollWidth - frame.clientWidth;
  found.images = all("img").length;
  found.withoutAlt = all("img:not([alt]), img[alt='']").length;
  found.empty = all("img").filter((image) => !image.naturalWidth).length;
  found.withoutCaption = all("table").filter((table) => !table.caption).length;
  found.withoutScope = all("th:not([scope])").length;
  found.headings = all("h1").length;
  found.ids = all("[id]").map((element) => element.id);
  found.unnamedPlots = all("svg").filter((svg) => !svg.closest("[role=img][aria-label]")).length;
  found.plots = all("svg").length;
  found.smallPlots = all("svg").filter((svg) => svg.getBoundingClientRect().height < 150).length;
  found.brokenLinks = all("a[href^='#']").filter((a) => !page.querySelector(a.hash)).length;
  found.requests = frame.contentWindow.performance.getEntriesByType("resource")
    .map((entry) => entry.name).filter((name) => !name.startsWith("data:"));
  return found;
};
frame.onload = () => answer(look());
document.body.append(frame);
"""


class Tags(HTMLParser):
    """Checks that what is opened is closed."""

    VOID = ("meta", "img", "br", "link", "input", "hr")

    def __init__(self):
        super().__init__()
        self.open, self.addresses = [], []

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(evaluation):
    return (evaluation / "report.html").read_text(encoding="utf-8")


def test_is_one_well_formed_file(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert all(address.startswith(("data:", "#")) for address in tags.addresses)
    assert "http" not in re.sub(r"http://www.w3.org/[\w/]+", "", page)


def test_names_from_files_are_escaped(page):
    assert "is empty &lt;0 bytes&gt;" in page


def test_says_what_the_metrics_say(page, evaluation):
    metrics = json.loads((evaluation / "metrics.json").read_text())
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u202f", " ").split())
    assert f"Right on {100 * metrics['accuracy']:.1f} % of the test images" in text
    assert f"{metrics['correct']} of {metrics['images']} get the right class, cat or dog." in text
    assert "Against the model in use. tie:" in text
    for row in metrics["robustness"]:
        assert row["strength"] in text


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("colour", ["ink", "soft", "series-1"])
def test_text_has_contrast(page, theme, colour):
    """WCAG 2.2, 1.4.3: at least 4.5 to 1 for text; series-1 is the colour of links."""

    def luminance(name):
        digits = re.findall(rf"--{name}: #(\w{{6}})", page)[theme]
        levels = np.array([int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)])
        linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([luminance(colour), luminance("paper")])
    assert (high + 0.05) / (low + 0.05) >= 4.5


def chromium(tmp_path, page, *flags):
    if CHROMIUM is None:
        pytest.skip("needs a headless Chromium")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_in_a_browser_on_a_phone(page, tmp_path):
    outer = tmp_path / "outer.html"
    eager = json.dumps(page.replace(' loading="lazy"', "")).replace("</", "<\\/")
    script = CHECKS.replace("PAGE", eager, 1)
    outer.write_text(f"<!doctype html><body><script>{script}</script>", encoding="utf-8")
    dump = chromium(tmp_path, outer, "--virtual-time-budget=20000", "--dump-dom")
    found = json.loads(html.unescape(re.search("<output>(.*?)</output>", dump, re.S).group(1)))
    assert found["overflow"] <= 0
    assert found["images"] > 10
    assert found["plots"] >= 5
    assert found["headings"] == 1
    assert found["requests"] == []
    assert len(found["ids"]) == len(set(found["ids"]))
    for fault in FAULTS:
        assert found[fault] == 0, fault


PRINTED = """
const frame = document.createElement("iframe");
frame.style = "width: 688px; height: 1000px; border: 0";
frame.srcdoc = PAGE.replaceAll("@media print", "@media all");
frame.onload = () => {
  const page = frame.contentDocument;
  const all = (selector) => [...page.querySelectorAll(selector)];
  const found = {
    wide: all("*").filter((part) => part.scrollWidth > part.clientWidth + 1
                          && getComputedStyle(part).overflowX !== "visible").length,
    overflow: page.documentElement.scrollWidth - frame.clientWidth,
    hidden: all("details table").filter((table) => !table.checkVisibility()
                                        || !table.getBoundingClientRect().height).length,
    closed: all("details:not([open])").length,
    cut: all("figure, tr, .figures > div")
      .filter((part) => getComputedStyle(part).breakInside !== "avoid").length,
    contents: all("nav").filter((part) => part.checkVisibility()).length,
  };
  const output = document.createElement("output");
  output.textContent = JSON.stringify(found);
  document.body.append(output);
};
document.body.append(frame);
"""


def test_printed_on_paper_nothing_is_cut_hidden_or_dark(page, tmp_path):
    """As wide as A4 between its margins, with the rules for printing."""
    outer = tmp_path / "outer.html"
    script = PRINTED.replace("PAGE", json.dumps(page).replace("</", "<\\/"), 1)
    outer.write_text(f"<!doctype html><body><script>{script}</script>", encoding="utf-8")
    flags = ["--virtual-time-budget=20000", "--dump-dom"]
    dump = chromium(tmp_path, outer, *flags)
    found = json.loads(html.unescape(re.search("<output>(.*?)</output>", dump, re.S).group(1)))
    assert found.pop("closed") > 0  # or nothing is shown by opening them
    assert "@media screen and (prefers-color-scheme: dark)" in page
    assert set(found.values()) == {0}, found


def test_screenshot_is_no_blank_page(evaluation, tmp_path):
    shot = tmp_path / "shot.png"
    chromium(tmp_path, evaluation / "report.html", "--window-size=1200,900", f"--screenshot={shot}")
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert pixels.shape == (900, 1200)
    assert np.median(pixels) > 240  # paper
    assert 0.02 < (pixels < 128).mean() < 0.6  # ink and pictures
