"""Reports in real browsers: Debian's chromium and firefox-esr, in software, without a network."""

import hashlib
import importlib.util
import io
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("jinja2")

from occupy_jit.interface import estimate
from occupy_jit.reports import colours, content
from occupy_jit.reports.page import page, pictures
from occupy_jit.reports.page.display_grid import Grid
from occupy_jit.runs.one_map.shown_level import first_level, solvent_noise, thinned
from tests.reports.sample import HOSTILE, report_data
from tests.reports.test_content import check_view, reach
from tests.reports.test_page import json_of, volume_of
from tests.simulated import complex_with_occupancies

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SOFTWARE = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
QUIET = ["--disable-background-networking", "--no-first-run"]
READY = "window.occupyReport && window.occupyReport.ready"


def chromium_path():
    return shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def chromium():
    """Launches chromium with more arguments; closes it afterwards."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed: the report was NOT opened in chromium")
    if chromium_path() is None:
        pytest.skip("chromium is not installed: the report was NOT opened in it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        open_ones = {}

        def launch(*arguments):
            if arguments not in open_ones:
                open_ones[arguments] = driver.chromium.launch(
                    executable_path=chromium_path(), args=[*QUIET, *arguments], chromium_sandbox=os.geteuid() != 0)
            return open_ones[arguments]

        yield launch
        for browser in open_ones.values():
            browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A report with everything, and one with hostile names."""
    here = tmp_path_factory.mktemp("reports")
    data = report_data(shape=(56, 60, 64))
    (here / "report.html").write_bytes(page.render(data)[0])
    hostile = report_data(name=HOSTILE, verdicts=[("code", f"Of {HOSTILE}")])
    (here / "hostile.html").write_bytes(page.render(hostile)[0])
    return here, data


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """A report of a map with as much noise as signal, its stills not trimmed; what is known of the map."""
    made = complex_with_occupancies(signal_to_noise=2.0, seed=4)
    found = estimate(made.map, voxel_size=made.voxel_size)
    level = first_level(found, solvent_noise(thinned(made.map), found.quiet))
    like = report_data(everything=False)
    record = {**like.record, "results": {**like.record["results"], "zero_level": found.zero},
              "derived": {**like.record["derived"], "kernel_radius": found.ball.radius}}
    whole = Grid(tuple(slice(0, n) for n in made.map.shape), 1.0, made.map.shape)
    data = replace(like, record=record, grid=whole, box=made.map.shape, input=made.map, scale=found.scale,
                   confidence=found.confidence, surface_level=level)
    path = tmp_path_factory.mktemp("noisy") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "_trimmed", lambda picture: picture)
        path.write_bytes(page.render(data)[0])
    return path, made, reach(found)


class Visit:
    """A page, and what it asked for and said."""

    def __init__(self, browser, path, width=1366, height=900, **context):
        self.requests, self.said = [], []
        self.context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **context)
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto("file://" + os.path.abspath(path))

    def ready(self):
        self.page.wait_for_function(READY, timeout=60_000)
        self.page.wait_for_timeout(300)
        return self

    def pixels(self, selector):
        self.page.wait_for_timeout(400)
        return hashlib.md5(self.page.locator(selector).screenshot()).hexdigest()

    def check_quiet(self):
        elsewhere = [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]
        assert elsewhere == [] and self.said == []
        assert sum(url.startswith("file:") for url in self.requests) == 1


@pytest.fixture
def visit(chromium, files):
    visits = []

    def go(name="report.html", arguments=tuple(SOFTWARE), **context):
        visits.append(Visit(chromium(*arguments), files[0] / name, **context))
        return visits[-1]

    yield go
    for one in visits:
        one.context.close()


def box_of_view(one):
    """Where the surface is drawn, after the page was scrolled there: parts stand above it."""
    one.page.evaluate("document.querySelector('#surface').scrollIntoView({behavior: 'instant'})")
    return one.page.locator("#stage3d canvas").bounding_box()


@pytest.mark.slow
def test_every_control_changes_the_surface(visit):
    one = visit().ready()
    canvas, box = "#stage3d canvas", box_of_view(one)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    seen = [one.pixels(canvas)]

    def changed(what):
        seen.append(one.pixels(canvas))
        assert seen[-1] != seen[-2], f"{what} changes nothing"

    one.page.mouse.move(x, y)
    one.page.mouse.down()
    for step in range(8):
        one.page.mouse.move(x + 9 * step, y + 4 * step)
    one.page.mouse.up()
    changed("a drag")
    one.page.keyboard.press("ArrowLeft")
    changed("a key")
    one.page.mouse.wheel(0, -240)
    changed("the wheel")
    one.page.locator("#showcube").click()
    changed("the region of full scale")
    for selector, value in (("#level", 0.8), ("#cut", 0.55)):
        one.page.evaluate("([s, v]) => { const e = document.querySelector(s); e.value = +e.min + v * (e.max - e.min);"
                          " e.dispatchEvent(new Event('input')) }", [selector, value])
        changed(selector)
    for label in ("colour-confidence", "colour-error", "colour-none", "map-modified"):
        one.page.locator(f"label[for={label}]").click()
        changed(label)
    one.page.locator("button[data-look=x]").click()
    changed("looking along x")
    one.page.locator("#theme").click()
    changed("dark")
    one.page.locator("#reset").click()
    changed("reset")
    with one.page.expect_download() as download:
        one.page.locator("#save").click()
    assert download.value.suggested_filename == "sample_surface.png"
    one.check_quiet()


def test_the_wheel_scrolls_the_page_until_the_view_was_clicked(visit):
    one = visit(height=500).ready()
    box = one.page.locator("#stage3d canvas").bounding_box()
    before = one.page.evaluate("occupyReport.view.camera.half")
    one.page.mouse.move(box["x"] + 50, min(box["y"] + 50, 480))
    one.page.mouse.wheel(0, 200)
    one.page.wait_for_timeout(800)
    assert one.page.evaluate("scrollY") > 0 and one.page.evaluate("occupyReport.view.camera.half") == before


def test_crosshair_and_values_agree_with_the_arrays(visit, files):
    one = visit().ready()
    html = (files[0] / "report.html").read_text()
    meta = json_of(html, "meta")
    size = meta["grid"]["size"]
    for place in ([3, 4, 5], [size[0] - 1, 0, size[2] // 2], [size[0] // 2, size[1] // 2, size[2] // 2]):
        one.page.evaluate("place => occupyReport.setCross(...place)", place)
        assert one.page.evaluate("[...occupyReport.crosshair]") == place
        for volume in meta["volumes"]:
            byte = volume_of(html, volume["id"]).reshape(size[::-1])[place[2], place[1], place[0]]
            wanted = volume["low"] + byte / 255 * (volume["high"] - volume["low"])
            assert one.page.evaluate(f"occupyReport.valueHere('{volume['id']}')") == pytest.approx(wanted)
        shown = one.page.inner_text("#readout")
        corner = [o + p * meta["grid"]["spacing"] for o, p in zip(meta["grid"]["origin"], place, strict=True)]
        assert ", ".join(f"{v:.1f}" for v in corner) in shown
        scale = volume_of(html, "scale").reshape(size[::-1])[place[2], place[1], place[0]] / 255
        assert f"scale {scale:.2f}" in re.sub(r"\s+", " ", shown)
    one.check_quiet()


def test_slices_show_the_arrays_and_move(visit, files):
    """Grey values are those of the input in its window; a click in one slice moves all."""
    one = visit().ready()
    html = (files[0] / "report.html").read_text()
    meta = json_of(html, "meta")
    size = meta["grid"]["size"]
    place = [size[0] // 2, size[1] // 2, size[2] // 2]
    one.page.evaluate("place => occupyReport.setCross(...place)", place)
    pixels = np.array(one.page.evaluate(
        "(() => { const c = document.querySelector('.plane[data-plane=XY] canvas'); "
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data] })()")).reshape(size[1], size[0], 4)
    volume = meta["volumes"][0]
    section = volume_of(html, "input").reshape(size[::-1])[place[2]][::-1].astype(float)
    value = volume["low"] + section / 255 * (volume["high"] - volume["low"])
    low, high = volume["window"]
    wanted = np.clip(np.rint((value - low) / (high - low) * 255), 0, 255)
    assert np.abs(pixels[..., 0] - wanted).max() <= 1 and (pixels[..., 3] == 255).all()
    canvas = one.page.locator(".plane[data-plane=XY] canvas").first
    before = one.pixels(".plane[data-plane=YZ] canvas >> nth=1")
    canvas.scroll_into_view_if_needed()
    one.page.wait_for_timeout(600)  # the page scrolls smoothly
    box = canvas.bounding_box()
    one.page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    assert abs(one.page.evaluate("occupyReport.crosshair[0]") - size[0] / 4) <= 1
    assert abs(one.page.evaluate("occupyReport.crosshair[1]") - size[1] * 3 / 4) <= 1
    assert one.pixels(".plane[data-plane=YZ] canvas >> nth=1") != before
    one.page.keyboard.press("PageUp")
    assert one.page.evaluate("occupyReport.crosshair[2]") == place[2] + 1


def test_slices_of_the_scale_fade_and_have_their_rim_filled(visit, noisy):
    """Pixel by pixel as the pictures for print: the scripts fill and fade as Python does."""
    path, *_ = noisy
    one = visit(path).ready()
    html = path.read_text()
    meta = json_of(html, "meta")
    shape = meta["grid"]["size"][::-1]
    scale, seen, sure = (volume_of(html, name).reshape(shape) / np.float32(255)
                         for name in ("scale", "seen", "confidence"))
    place = meta["start"]["cross"]
    pixels = np.array(one.page.evaluate(
        "(() => { const c = document.querySelectorAll('.plane[data-plane=XY] canvas')[1]; "
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data] })()"))
    pixels = pixels.reshape(shape[1], shape[2], 4)[::-1, :, :3]
    page_colour = np.array([int(one.page.evaluate(
        "getComputedStyle(document.documentElement).getPropertyValue('--slice-back').trim()")[i:i + 2], 16)
        for i in (1, 3, 5)])
    section = content.with_rim_filled(scale, seen)[place[2]]
    rgb = colours.ramp(colours.scale_on_white(), section)
    below = np.clip(section / 0.1, 0, 2)[..., None]  # what is next to nothing has the colour of the page
    rgb = np.where(below <= 1, page_colour, rgb)
    rgb = np.where((section > 0.1)[..., None] & (section < 0.2)[..., None],
                   page_colour + (colours.ramp(colours.SCALE, 0.2) - page_colour) * (section[..., None] / 0.1 - 1), rgb)
    share = (seen * sure)[place[2]][..., None]
    wanted = page_colour + (rgb - page_colour) * share
    # a colour is one of 256 steps, and so is a share
    assert np.abs(pixels - wanted).max() <= 3 and (share == 0).mean() > 0.3 and (share > 0.9).mean() > 0.05
    assert (content.with_rim_filled(scale, seen) != scale)[seen > 0].mean() > 0.05


def test_a_click_on_the_surface_takes_the_slices_there(visit):
    one = visit().ready()
    one.page.evaluate("occupyReport.setCross(0, 0, 0)")
    # somewhere along the middle there is content
    box = box_of_view(one)
    found = []
    for step in np.linspace(0.3, 0.7, 9):
        one.page.mouse.click(box["x"] + box["width"] * step, box["y"] + box["height"] * 0.5)
        found.append(one.page.evaluate("[...occupyReport.crosshair]"))
    hits = [place for place in found if place != [0, 0, 0]]
    assert hits
    one.page.evaluate("place => occupyReport.setCross(...place)", hits[0])
    # on the surface: the density there is about its level
    level = one.page.evaluate("occupyReport.view.state.level")
    assert abs(one.page.evaluate("occupyReport.valueHere('input')") - level) < level


def test_a_narrow_screen_has_no_sideways_scroll(visit):
    one = visit(width=390, height=844, has_touch=True, device_scale_factor=2).ready()
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert one.page.locator(".plane:visible").count() == 1
    # no word of the tables of numbers and parts is broken: every one of them lies in one box
    assert one.page.evaluate("""() => [...document.querySelectorAll("tbody th, .plain td, #parts td")].flatMap(cell => {
        const text = cell.firstChild, range = document.createRange(), broken = []
        for (const word of (text?.data ?? "").matchAll(/\\S+/g)) {
            range.setStart(text, word.index); range.setEnd(text, word.index + word[0].length)
            if (range.getClientRects().length > 1) broken.push(word[0])
        }
        return broken
    })""") == []
    one.check_quiet()


def test_dark_is_dark_and_print_is_light(visit):
    one = visit(color_scheme="dark").ready()
    background = "getComputedStyle(document.body).backgroundColor"
    assert one.page.evaluate(background) == "rgb(17, 21, 26)"
    one.page.emulate_media(media="print", color_scheme="dark")
    assert one.page.evaluate(background) == "rgb(255, 255, 255)"
    assert one.page.locator("#poster").is_visible() and not one.page.locator("#controls").is_visible()
    assert len(one.page.pdf(format="A4")) > 10_000


def test_without_webgl_the_slices_still_move(visit):
    one = visit(arguments=("--disable-3d-apis",)).ready()
    assert one.page.locator("#poster").is_visible() and not one.page.locator("#controls").is_visible()
    assert "no WebGL" in one.page.inner_text("#status")
    before = one.pixels(".plane[data-plane=XY] canvas >> nth=0")
    one.page.evaluate("occupyReport.setCross(5, 5, 9)")
    assert one.pixels(".plane[data-plane=XY] canvas >> nth=0") != before
    one.check_quiet()


@pytest.mark.parametrize("how", ["no WebGL", "no scripts", "print"])
def test_stills_of_a_noisy_map_show_content_alone(how, visit, noisy):
    path, made, far = noisy
    arguments = {"no WebGL": {"arguments": ("--disable-3d-apis",)}, "no scripts": {"java_script_enabled": False},
                 "print": {}}[how]
    one = visit(path, **arguments)
    if how != "no scripts":
        one.ready()
    if how == "print":
        one.page.emulate_media(media="print")
    picture = one.page.locator("#poster img")
    assert picture.is_visible()
    shown = as_drawn(picture)
    gap, edge = 20, len(shown)  # three views of the whole box beside each other
    assert shown.shape[1] == 3 * edge + 2 * gap
    for axis in range(3):
        left = axis * (edge + gap)
        check_view((shown[:, left:left + edge] < 200).any(-1), axis, made, far)


def as_drawn(picture):
    """Pixels of a picture, (height, width, 3), as the browser draws them: fitted into its box, without distortion."""
    image = pytest.importorskip("PIL.Image")
    height, width = (int(picture.get_attribute(name)) for name in ("height", "width"))
    drawn = np.asarray(image.open(io.BytesIO(picture.screenshot())).convert("RGB"))
    factor = min(drawn.shape[0] / height, drawn.shape[1] / width)
    rows, columns = (np.clip((length - factor * n) / 2 + factor * (np.arange(n) + 0.5), 0, length - 1).astype(int)
                     for length, n in zip(drawn.shape, (height, width), strict=False))
    return drawn[rows][:, columns]


def test_without_scripts_there_are_pictures_and_numbers(visit):
    one = visit(java_script_enabled=False)
    for selector in ("#poster", "#slicestrip", "h1", "#charts svg >> nth=0", "noscript"):
        assert one.page.locator(selector).is_visible(), selector
    assert not one.page.locator("#controls").is_visible()
    one.check_quiet()


def test_everything_is_reached_with_the_keyboard(visit):
    one = visit().ready()
    reached = set()
    for _ in range(60):
        one.page.keyboard.press("Tab")
        reached.add(one.page.evaluate(
            "(() => { const e = document.activeElement; return e.id || e.className || e.tagName + ' ' + (e.textContent "
            "|| e.getAttribute('aria-label') || '') })()"))
    text = " ".join(map(str, reached))
    for wanted in ("theme", "map-input", "colour-scale", "level", "cut", "showcube", "reset", "save", "planes-all"):
        assert wanted in text, wanted
    assert "CANVAS" in text


def test_hostile_names_are_text_and_an_injected_script_is_blocked(visit):
    one = visit("hostile.html")
    dialogs = []
    one.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    one.ready()
    assert HOSTILE in one.page.inner_text("header strong") and HOSTILE in one.page.inner_text(".verdicts")
    assert one.said == []
    one.page.evaluate("(() => { const s = document.createElement('script'); s.textContent = 'window.injected = 1'; "
                      "document.body.append(s); const i = document.createElement('img'); "
                      "i.src = 'https://example.org/x'; document.body.append(i) })()")
    one.page.wait_for_timeout(300)
    assert one.page.evaluate("window.injected") is None and dialogs == []
    assert any("Content Security Policy" in text for text in one.said)


@pytest.mark.slow
def test_firefox_shows_the_same(files, tmp_path):
    executable = shutil.which("firefox-esr") or shutil.which("firefox")
    if executable is None or shutil.which("xvfb-run") is None:
        pytest.skip("firefox-esr or xvfb-run is not installed: the report was NOT opened in Firefox")
    from tests.reports.marionette import Firefox

    browser = Firefox(executable)
    try:
        browser.open(files[0] / "report.html")
        browser.wait_for(READY)
        assert browser.evaluate("occupyReport.error") is None
        assert browser.evaluate("occupyReport.view !== null"), "no WebGL in this Firefox"
        assert browser.evaluate("occupyReport.view.triangles") > 1000
        before = browser.evaluate("occupyReport.view.png()")
        # not one colour all over
        assert len(before) > 5000
        box = browser.evaluate("document.querySelector('#stage3d canvas').getBoundingClientRect().toJSON()")
        x, y = int(box["x"] + box["width"] / 2), int(box["y"] + min(box["height"] / 2, 150))
        browser.pointer(("move", x, y), ("down",), ("move", x + 60, y + 20), ("move", x + 90, y + 30), ("up",))
        assert browser.evaluate("occupyReport.view.png()") != before
        browser.evaluate("occupyReport.setCross(7, 8, 9)")
        meta = json_of((files[0] / "report.html").read_text(), "meta")
        size = meta["grid"]["size"]
        byte = volume_of((files[0] / "report.html").read_text(), "scale").reshape(size[::-1])[9, 8, 7]
        assert browser.evaluate("occupyReport.valueHere('scale')") == pytest.approx(byte / 255)
        requests = "performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length"
        assert browser.evaluate(requests) == 0
        assert browser.screenshot()[:4] == b"\x89PNG"
    finally:
        browser.close()


def names_shown(one):
    return one.page.evaluate("[...document.querySelectorAll('#parts tr[data-part]')].filter(row => !row.hidden)"
                             ".map(row => row.dataset.part).join(' ')")


def test_parts_are_sorted_and_filtered(visit):
    one = visit().ready()
    assert names_shown(one) == "1 0 2"
    one.page.locator("label[for=order-chain]").click()
    assert names_shown(one) == "0 1 2"
    one.page.locator("#partfilter").fill("CHAIN 5")  # words of name and remark, in any case
    assert names_shown(one) == "2" and one.page.inner_text("#partsaid") == "1 of 3 parts"
    one.page.locator("#partfilter").fill("")
    assert names_shown(one) == "0 1 2" and one.page.inner_text("#partsaid") == ""
    one.check_quiet()


def test_a_click_on_a_part_shows_it_in_surface_and_slices(visit, files):
    """Outlined in a slice are exactly the border voxels of the part; alone, no vertex of the surface is far from it."""
    one = visit().ready()
    html = (files[0] / "report.html").read_text()
    size = json_of(html, "meta")["grid"]["size"]
    layer = volume_of(html, "region0").reshape(size[::-1])
    canvas, slice_of_scale = "#stage3d canvas", ".plane[data-plane=XY] canvas >> nth=1"
    plain, slice_before = one.pixels(canvas), one.pixels(slice_of_scale)
    one.page.locator("#parts tr[data-part='1']").click()
    assert one.page.locator("#parts tr[data-part='1'] button").get_attribute("aria-pressed") == "true"
    x, y, z = one.page.evaluate("occupyReport.crosshair")
    assert layer[z, y, x] == 2
    highlighted = one.pixels(canvas)
    assert highlighted != plain and one.pixels(slice_of_scale) != slice_before
    pixels = np.array(one.page.evaluate(
        "(() => { const c = document.querySelector('.plane[data-plane=XY] canvas'); "
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data] })()")).reshape(size[1], size[0], 4)
    own = np.pad(layer[z] == 2, 1)
    inner = own[1:-1, 1:-1] & own[:-2, 1:-1] & own[2:, 1:-1] & own[1:-1, :-2] & own[1:-1, 2:]
    orange = (pixels[::-1, :, :3] == (0xe6, 0x9f, 0x00)).all(2)
    assert np.array_equal(orange, own[1:-1, 1:-1] & ~inner)
    one.page.locator("#alone").check()
    alone = one.pixels(canvas)
    assert alone not in (plain, highlighted) and "alone" in one.page.inner_text("#shownpart")
    whole, part = one.page.evaluate("[occupyReport.surfaceBytes('input'), occupyReport.shownBytes('input')]"
                                    ".map(bytes => [...bytes])")
    zero = one.page.evaluate("occupyReport.zeroByte('input')")
    assert set(np.array(part)[layer.ravel() != 2]) == {zero} and part != whole
    one.page.locator("#allparts").click()
    assert one.page.evaluate("occupyReport.chosen.part") is None
    assert one.pixels(slice_of_scale) != slice_before  # the crosshair has moved
    assert one.page.evaluate("[...occupyReport.shownBytes('input')].join() === "
                             "[...occupyReport.surfaceBytes('input')].join()")
    one.check_quiet()


def test_parts_are_chosen_with_the_keyboard(visit):
    one = visit().ready()
    button = one.page.locator("#parts button.part").first
    button.focus()
    one.page.keyboard.press("Enter")
    assert one.page.evaluate("occupyReport.chosen.part") == 1
    one.page.keyboard.press("ArrowDown")
    one.page.keyboard.press(" ")
    assert one.page.evaluate("occupyReport.chosen.part") == 0
    one.page.keyboard.press("Escape")
    assert one.page.evaluate("occupyReport.chosen.part") is None
    assert one.page.locator("#parts button.part").count() == 2  # of the third nothing is known
    one.check_quiet()


def test_without_webgl_a_part_is_outlined_in_the_slices(visit):
    one = visit(arguments=("--disable-3d-apis",)).ready()
    before = one.pixels(".plane[data-plane=XY] canvas >> nth=0")
    one.page.locator("#parts tr[data-part='1']").click()
    assert one.pixels(".plane[data-plane=XY] canvas >> nth=0") != before


def test_print_shows_every_part_whatever_is_filtered(visit):
    one = visit().ready()
    one.page.locator("#partfilter").fill("nothing has this name")
    assert names_shown(one) == ""
    one.page.emulate_media(media="print")
    for row in one.page.locator("#parts tr[data-part]").all():
        assert row.bounding_box()["height"] > 5
    assert not one.page.locator("#partfilter").is_visible()


def test_chart_text_is_readable_on_a_phone(visit):
    """Text of charts is as high as on a wide screen or higher, and within the picture."""
    one = visit(width=390, height=844).ready()
    sizes = one.page.evaluate("""[...document.querySelectorAll('#charts svg text, #residues svg text')]
        .filter(text => text.getBoundingClientRect().width).map(text => {
          const box = text.closest('svg').getBoundingClientRect(), own = text.getBoundingClientRect();
          return [parseFloat(getComputedStyle(text).fontSize) * box.width / text.closest('svg').viewBox.baseVal.width,
            own.left >= box.left - 1 && own.right <= box.right + 1, text.textContent];
        })""")
    assert len(sizes) > 20
    assert [text for size, inside, text in sizes if size < 9.5 or not inside] == []


@pytest.mark.parametrize("how", ["no WebGL", "no scripts"])
def test_stills_lie_on_the_page_in_the_dark(how, visit):
    """The corner of the poster has the colour of the card, not white."""
    image = pytest.importorskip("PIL.Image")
    arguments = {"no WebGL": {"arguments": ("--disable-3d-apis",)}, "no scripts": {"java_script_enabled": False}}[how]
    one = visit(color_scheme="dark", **arguments)
    if how == "no WebGL":
        one.ready()
    drawn = np.asarray(image.open(io.BytesIO(one.page.locator("#poster img").screenshot())).convert("RGB"))
    assert tuple(drawn[drawn.shape[0] // 2, 0]) == (0x1a, 0x20, 0x27)
    assert (drawn.max(2) > 100).any()
