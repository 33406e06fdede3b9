"""The page as a person gets it: in a browser, with the network off, on a phone, in the dark, on paper."""

import pytest

from graft.report.inputs import read_inputs
from graft.report.page import CONTENTS
from helpers.browser import (
    DESKTOP,
    PAPER,
    PHONE,
    faults_of_access,
    faults_of_headings,
    faults_of_images,
    faults_of_loading,
    faults_of_width,
    scroll_inside,
    show,
)
from helpers.pages import build
from helpers.repository import picture
from helpers.tiers import long_but_for

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="
GOOD = f"""<!doctype html><html lang="en"><title>t</title><main><h1>One</h1><h2>Two</h2>
<p>text</p><img src="{PIXEL}" alt="a pixel"><svg role="img" aria-label="a chart"></svg>
<div style="overflow-x: auto" tabindex="0" role="region" aria-label="wide"><table style="width: 3000px">
<caption>wide</caption><tr><th scope="col">wide</th></tr><tr><td>1</td></tr></table></div></main></html>"""


FAULTS = {
    "a script's error": (faults_of_loading, "<p>text</p>", "<script>nothing()</script>"),
    "a console's error": (faults_of_loading, "<p>text</p>", "<script>console.error('x')</script>"),
    "an image from elsewhere": (faults_of_loading, PIXEL, "http://127.0.0.1:9/a.png"),
    "a style from elsewhere": (faults_of_loading, "<p>", "<style>@import 'http://127.0.0.1:9/a'</style><p>"),
    "a file beside it": (faults_of_loading, PIXEL, "beside.png"),
    "a missing image": (faults_of_images, PIXEL, "missing.png"),
    "a broken image": (faults_of_images, PIXEL, "data:image/gif;base64,AAAA"),
    "no alt": (faults_of_images, ' alt="a pixel"', ""),
    "an empty alt": (faults_of_images, "a pixel", " "),
    "a chart without words": (faults_of_images, ' aria-label="a chart"', ""),
    "no h1": (faults_of_headings, "h1", "h2"),
    "a level left out": (faults_of_headings, "h2", "h3"),
    "a table as wide as the page": (faults_of_width, "overflow-x: auto", ""),
    "a table that is cut off": (faults_of_width, "overflow-x: auto", "overflow-x: hidden"),
    "a text that is cut off": (faults_of_width, "<p>", "<p style='overflow: hidden'>" + "x" * 1000),
    "a long word": (faults_of_width, "text", "text" * 1000),
    "grey on grey": (faults_of_access, "<p>", "<p style='color: #999; background: #aaa'>"),
    "no language": (faults_of_access, ' lang="en"', ""),
    "a box that no key scrolls": (faults_of_access, 'tabindex="0" role="region" aria-label="wide"', ""),
}


CHECKS = (faults_of_loading, faults_of_headings, faults_of_images, faults_of_width, faults_of_access)


@pytest.fixture
def of_text(open_page, tmp_path):
    """A function that opens a page of this HTML on a phone; beside it is a file."""
    (tmp_path / "beside.png").write_bytes(picture(0))

    def of_text(html):
        (tmp_path / "page.html").write_text(html, encoding="utf-8")
        page = open_page(tmp_path / "page.html")
        show(page, PHONE)
        return page

    return of_text


def test_a_good_page_has_no_fault(of_text):
    page = of_text(GOOD)
    assert [check(page) for check in CHECKS] == [[]] * len(CHECKS)
    assert scroll_inside(page) == [0, [3000 - page.evaluate("document.querySelector('div').clientWidth")]]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen(of_text, name):
    check, before, after = FAULTS[name]
    assert before in GOOD
    assert check(of_text(GOOD.replace(before, after)))


@pytest.fixture(scope="module")
def page_of_built(built):
    return build(read_inputs(built.repo))


@pytest.fixture(params=long_but_for(["page", "built"], ["page", "many", "least", "built"]))
def opened(request, open_page, tmp_path):
    """Three pages of random predictions and one of what `dvc repro` wrote, with all unfolded that unfolds."""
    made = request.getfixturevalue("page_of_built" if request.param == "built" else request.param)
    file = tmp_path / "page.html"
    file.write_text(made[1] if request.param == "many" else made, encoding="utf-8")
    tab = open_page(file)
    unfold(tab, True)
    return tab


def unfold(tab, is_open):
    tab.evaluate("open => document.querySelectorAll('details').forEach((e) => { e.open = open })", is_open)


def test_it_loads_without_a_word_and_shows_each_section_and_image(opened):
    headings = [heading.inner_text() for heading in opened.locator("h2:visible").all()]
    optional = ("curation", "map", "seeds", "backbones", "tuning", "monitoring")
    absent = {CONTENTS[name] for name in optional}.difference(headings)
    assert headings == [heading for heading in CONTENTS.values() if heading not in absent]
    assert opened.locator("img").count()
    assert faults_of_headings(opened) + faults_of_images(opened) + faults_of_loading(opened) == []


# What fits does not depend on the colours, nor contrast on the width.
@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")])
def test_all_can_be_read(opened, width, scheme):
    show(opened, width, scheme)
    assert faults_of_width(opened) + faults_of_access(opened) == []


def test_on_a_phone_wide_tables_scroll_and_the_page_does_not(opened):
    show(opened, PHONE)
    page, boxes = scroll_inside(opened)
    assert page == 0
    assert boxes
    assert min(boxes) > 0


def test_on_paper_all_is_there_in_black_and_nothing_is_cut_off(opened):
    unfold(opened, False)
    show(opened, PAPER, "dark", "print")
    assert faults_of_width(opened) == []
    assert scroll_inside(opened) == [0, []]
    assert all(table.is_visible() for table in opened.locator("table").all())
    red, green, blue = opened.evaluate("getComputedStyle(document.body).color.match(/[0-9]+/g)")
    assert max(int(red), int(green), int(blue)) < 64
