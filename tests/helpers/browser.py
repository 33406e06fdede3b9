"""A page in the system's Chromium, with the network off, and the faults that it may have.

A test module that imports the fixtures gets `open_page`:

    from helpers.browser import browser, open_page  # noqa: F401

Each check takes a page and returns its faults, so that a test is `assert faults(page) == []`.
"""

import importlib.util
import os
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
AXE = next(Path(sys.prefix).glob("axe-core-*.tgz"), None)
PHONE, DESKTOP, PAPER = 390, 1280, 703  # pixels; paper is A4 less margins of 1.2 cm, at 96 an inch
HEIGHT = 800


def _require():
    """Skip where the browser is missing; fail there in CI, where nobody reads of a skipped test."""
    missing = {
        "no Chromium: `apt-get install chromium`": not CHROMIUM,
        "no Playwright: `make browser`": not importlib.util.find_spec("playwright"),
        "no axe-core: `make browser`": not AXE,
    }
    reasons = [reason for reason, is_missing in missing.items() if is_missing]
    if reasons:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("; ".join(reasons))


@pytest.fixture(scope="session")
def playwright():
    """Playwright, of which a process takes one at a time."""
    _require()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright):
    started = playwright.chromium.launch(executable_path=CHROMIUM)
    yield started
    started.close()


@pytest.fixture(scope="session")
def open_page(browser):
    """A function that opens an HTML file in the one tab; `trouble` is what console and network said."""
    tab = browser.new_context(offline=True).new_page()
    with tarfile.open(AXE) as archive:
        tab.add_init_script(archive.extractfile("package/axe.min.js").read().decode())
    tab.on("console", lambda said: tab.trouble.append(f"console: {said.type}: {said.text}"))
    tab.on("pageerror", lambda error: tab.trouble.append(f"script: {error}"))
    tab.on("request", lambda request: tab.trouble.extend(_from_elsewhere(request)))
    tab.on("requestfailed", lambda request: tab.trouble.append(f"failed: {request.url[:100]}"))

    def open_page(file):
        tab.trouble = []
        tab.goto(file.as_uri())
        return tab

    return open_page


def _from_elsewhere(request):
    own = request.is_navigation_request() or request.url.startswith("data:")
    return [] if own else [f"asked for {request.url[:100]}"]


def show(page, width, scheme="light", media="screen"):
    """Let a page be as wide as a phone, in dark, on paper."""
    page.set_viewport_size({"width": width, "height": HEIGHT})
    page.emulate_media(media=media, color_scheme=scheme)


def faults_of_loading(page):
    """Not a word on the console, and nothing fetched: all is in the one file."""
    return page.trouble


def faults_of_headings(page):
    """One h1, then no level left out."""
    headings = page.eval_on_selector_all(
        "h1, h2, h3, h4, h5, h6", "all => all.map(h => [Number(h.tagName[1]), h.textContent.trim()])"
    )
    levels = [0, *(level for level, _ in headings)]
    faults = [f"{levels.count(1)} h1"] * (levels.count(1) != 1)
    faults += [f"empty h{level}" for level, text in headings if not text]
    steps = zip(levels, headings, strict=False)
    return faults + [f"h{b} after h{a}: {text}" for a, (b, text) in steps if b > a + 1]


def faults_of_images(page):
    """Each image has loaded and says what it shows."""
    return page.evaluate(
        """async () => {
            const faults = [];
            for (const image of document.querySelectorAll("img")) {
                const name = image.outerHTML.slice(0, 80);
                await image.decode().catch(() => {});
                if (!image.complete || !image.naturalWidth) faults.push("not loaded: " + name);
                if (!image.alt.trim()) faults.push("no alt: " + name);
            }
            for (const chart of document.querySelectorAll("svg")) {
                const image = chart.closest("[role=img]");
                if (!(image && (image.getAttribute("aria-label") || "").trim()))
                    faults.push("no role or label: " + chart.outerHTML.slice(0, 80));
            }
            return faults;
        }"""
    )


def faults_of_width(page):
    """The page does not scroll sideways; what is wider than it scrolls inside itself, and is not cut off."""
    return page.evaluate(
        """() => {
            const page = document.documentElement, faults = [];
            const scrolls = (e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
            const inside = (e) => e && e != document.body && (scrolls(e) || inside(e.parentElement));
            if (page.scrollWidth > page.clientWidth)
                faults.push(`the page is ${page.scrollWidth} pixels wide, the window ${page.clientWidth}`);
            for (const e of document.body.querySelectorAll("*")) {
                if (e.closest("svg") && e.tagName != "svg") continue;
                const box = e.getBoundingClientRect(), overflow = getComputedStyle(e).overflowX;
                if (box.width <= 1) continue;  // what only a screen reader reads
                if (["hidden", "clip"].includes(overflow) && e.scrollWidth > e.clientWidth + 1)
                    faults.push(`cut off: ${e.outerHTML.slice(0, 80)}`);
                if ((box.right > page.clientWidth + 1 || box.left < -1) && !inside(e))
                    faults.push(`sticks out: ${e.outerHTML.slice(0, 80)}`);
            }
            return faults;
        }"""
    )


def scroll_inside(page):
    """Scroll all that is wider than its box as far as it goes; how far the page itself went, and each box.

    Returns:
        (pixels of the page, list of pixels of the boxes, outermost first).
    """
    return page.evaluate(
        """() => {
            const scrolls = (e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
            const all = [...document.body.querySelectorAll("*")];
            const boxes = all.filter((e) => scrolls(e) && e.scrollWidth > e.clientWidth + 1);
            window.scrollTo(1e6, 0);
            for (const box of boxes) box.scrollLeft = 1e6;
            const far = boxes.map((box) => box.scrollLeft);
            for (const box of boxes) box.scrollLeft = 0;
            return [window.scrollX, far];
        }"""
    )


def faults_of_access(page):
    """Faults that axe-core calls serious or critical: "rule: why: element"."""
    found = page.evaluate("axe.run({resultTypes: ['violations']}).then((r) => r.violations)")
    return [
        f"{rule['id']}: {node['failureSummary']}: {node['html'][:100]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
