"""The page of a report: words, tables, escaping, size, and that it holds what it was given."""

import base64
import hashlib
import html as html_module
import json
import re
import shlex
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("jinja2")

from occupy_jit.estimation.scale.core import Core
from occupy_jit.reports import png
from occupy_jit.reports.page import charts, index, page, tables, words
from occupy_jit.reports.page.data import Histogram, coarser
from tests.reports.sample import HOSTILE, report_data

WITHOUT_END = {"meta", "link", "img", "input", "br", "path", "rect", "polyline", "polygon"}


class Tree(HTMLParser):
    """Counts elements, and complains about what is not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += attributes
        if tag not in WITHOUT_END:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, text):
        self.texts.append(text)


def core(weak, strong=0.5, voxels=10000, surely=0.0):
    counts = np.zeros(40, np.int64)
    counts[10], counts[30] = round(surely * voxels), voxels - round(surely * voxels)
    return Core(float(voxels), weak, strong, 0.7, counts, 1.0)


ALL_SEEN = words.Seen(0.11, False)


@pytest.mark.parametrize("weak, verdicts, wanted, tone", [
    (0.029, (), "Nearly all of this map is at full strength: 3% of its core is below half of its strongest region.",
     "full"),
    (0.001, (), "Nearly all of this map is at full strength: less than 1% of its core is below half of its strongest "
                "region.", "full"),
    (0.19, (), "19% of the core of this map is below half of its strongest region: missing in some particles, or "
               "mobile.", "weak"),
    (0.999, (), "Nearly all of the core of this map is below half of its strongest region.", "weak"),
    (0.19, ("kernel-large", "no-content"), "This map has no scale: nothing stands above solvent. See the warnings "
                                           "below.", "none"),
    (0.19, ("contrast-inverted",), "The scale of this map is meaningless: its contrast seems inverted. See the "
                                   "warnings below.", "none"),
    (0.9, ("confidence-everything",), "Solvent could not be distinguished from content, so the weak share is "
                                      "unknown. See the warnings below.", "none"),
    (0.0, ("noise-dominates",), "The scale of this map mostly shows noise. See the warnings below.", "none"),
])
def test_the_sentence(weak, verdicts, wanted, tone):
    said = words.sentence(core(weak), verdicts, ALL_SEEN)
    assert (str(said), said.tone) == (wanted, tone)


@pytest.mark.parametrize("surely, strong, limit, wanted, tone", [
    (0.1299, 0.5, 0.351, "At least 12% of the core of this map is below half of its strongest region: missing in some "
                         "particles, or mobile. Parts below 0.35 cannot be seen at this noise.", "weak"),
    (0.02, 0.5, 0.3, "No weak part is seen in this map, but noise may hide some. Parts below 0.30 cannot be seen at "
                     "this noise.", "unseen"),
    (0.0, 0.4, 0.6, "No part below half is clearly seen, but most of this map lies below the strength of its strongest "
                    "region. Parts below 0.60 cannot be seen at this noise.", "unseen"),
    (0.999, 0.0, 0.3, "Nearly all of the core of this map is below half of its strongest region. Parts below 0.30 "
                      "cannot be seen at this noise.", "weak"),
    (0.0, 0.9, None, "No weak part is seen in this map, but noise may hide some. The noise of this map is unknown, "
                     "so weak parts may be hidden.", "unseen"),
])
def test_the_sentence_where_noise_hides_parts(surely, strong, limit, wanted, tone):
    said = words.sentence(core(surely + 0.05, strong, surely=surely), (), words.Seen(limit, True))
    assert (str(said), said.tone) == (wanted, tone)


def test_a_lower_limit_is_never_rounded_up():
    for percent in range(3, 101):
        assert words.at_least(percent / 100) == f"at least {percent}%"
        assert words.at_least(percent / 100 - 1e-6) == (f"at least {percent - 1}%" if percent > 3 else "none seen")


def test_what_noise_hides_is_told_everywhere_and_nothing_is_green():
    data = report_data(noise_hides=True)
    html, summary = page.render(data)
    tree = Tree(html.decode())
    text = "".join(tree.texts)
    share = words.at_least(data.core.surely_weak_share)
    assert data.core.surely_weak_share < data.core.weak_share and share.startswith("at least ")
    assert f"A{share[1:]} of the core" in text and "Parts below 0.30 cannot be seen at this noise." in text
    assert f"weaker than half: {share}" in text and "≥ 54" in text and "scale 0.30" in text
    assert f"{share} has a scale below 0.5" in text and "✓" not in text
    assert f"{data.core.weak_share:.0%}" not in text
    overview = "".join(Tree(index.render_index([index.Entry("sample", summary, "report.html")]).decode()).texts)
    assert "At least" in overview and "visible from scale 0.30" in overview and "≥ 54 nm³" in overview
    assert "✓" in "".join(Tree(page.render(report_data())[0].decode()).texts)


def test_a_map_without_weak_parts_is_not_full_because_of_that():
    said = words.sentence(core(0.02, strong=0.3), (), ALL_SEEN, common=True)
    assert str(said) == ("Nothing is clearly missing, but most of this map lies below the strength of the strongest "
                         "region of all maps.")


def test_the_sentence_of_a_map_without_core():
    assert words.sentence(core(0.0, voxels=0), (), ALL_SEEN).tone == "none"


@pytest.fixture(scope="module")
def rendered():
    data = report_data()
    return data, *page.render(data)


def script_of(html):
    return re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]


def json_of(html, name):
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html, re.DOTALL)[1])


def volume_of(html, name):
    text = re.search(rf'id="volume-{name}">(.*?)</script>', html, re.DOTALL)[1]
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)


def test_a_page_is_well_formed_and_complete(rendered):
    _, html, summary = rendered
    tree = Tree(html.decode())
    for wanted in ("Solvent model", "What equalising does", "Chains", "chain A", "1.02 ± 0.02", "How to repeat"):
        assert any(wanted in text for text in tree.texts), wanted
    assert summary["sentence"] in "".join(tree.texts)
    assert tree.elements.count("h1") == 1 and tree.elements.count("svg") == 8
    # nothing from elsewhere
    for name, value in tree.attributes:
        if name in ("src", "href"):
            assert value.startswith(("data:", "#")), value
    assert "http" not in html.decode().replace("https://doi.org", "").replace("http-equiv", "")


def test_the_policy_allows_the_one_script(rendered):
    html = rendered[1].decode()
    script = script_of(html)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert f"script-src 'sha256-{digest}';" in policy and "default-src 'none'" in policy
    assert html.count("<script>") == 1


def test_the_volumes_are_those_of_the_map(rendered):
    data, html, _ = rendered
    html = html.decode()
    meta = json_of(html, "meta")
    size = meta["grid"]["size"]
    scale = volume_of(html, "scale").reshape(size[::-1])
    # a step of 1 here, so that the grid is a part of the map
    assert meta["grid"]["spacing"] == 1.5 and tuple(size[::-1]) == data.scale.shape
    first = [c.start for c in data.grid.crop]
    assert np.allclose(meta["grid"]["origin"], [p + 1.5 * v for p, v in zip((10, 20, 30), first[::-1], strict=True)])
    part = data.scale
    wanted = np.rint(part * 255)
    assert np.array_equal(scale, np.where(wanted < 26, 0, wanted))
    for volume in meta["volumes"]:
        assert volume_of(html, volume["id"]).size == np.prod(size)
    assert [v["id"] for v in meta["volumes"]] == ["input", "scale", "confidence", "modified", "error"]
    low, high = meta["cube"]
    assert np.allclose(np.array(high) - low, 8) and np.allclose(low[0], 14 - 0.5 - first[2])


def test_the_numbers_of_page_summary_and_record_are_the_same(rendered):
    data, html, summary = rendered
    assert json_of(html.decode(), "summary") == summary
    assert summary["weaker_than_half"] == data.record["results"]["core"]["weaker_than_half"] == data.core.weak_share
    assert f"{data.core.weak_share:.1%}" in html.decode()


def test_numbers_of_a_core_that_nothing_is_said_of_are_no_headlines():
    told, untold = (page.render(report_data(everything=False, verdicts=verdicts))[0].decode()
                    for verdicts in ((), [("confidence-everything", "confidence covers 99% of the box")]))
    tiles = re.compile(r'<dl class="tiles">.*?</dl>', re.DOTALL)
    assert tiles.search(told)[0].count("–") == 0 and tiles.search(untold)[0].count("–") == 3


def test_hostile_names_are_text_everywhere():
    data = report_data(name=HOSTILE, verdicts=[("a-code", f"sentence {HOSTILE}")])
    data.record["warnings"].append(HOSTILE)
    data.record["command_line"].append(HOSTILE)
    html, _ = page.render(data)
    tree = Tree(html.decode())
    plain = Tree(page.render(report_data(verdicts=[("a-code", "sentence")]))[0].decode())
    # one more warning, and not one other element
    assert sorted(tree.elements) == sorted([*plain.elements, "li"])
    assert not any(name.startswith("on") for name, _ in tree.attributes)
    assert sum(HOSTILE in text for text in tree.texts) >= 4
    assert "49" not in json_of(html.decode(), "meta")["name"]


def test_paths_stay_at_home_unless_asked_for():
    data = report_data(verdicts=[("a-code", "/data/secret project/sample.mrc: is odd")])
    html, _ = page.render(data)
    assert b"secret" not in html and b"sample.mrc: is odd" in html.replace(b"Sample", b"sample")
    html, _ = page.render(data, show_paths=True)
    assert b"/data/secret project/out/scale_sample.mrc" in html


def test_names_that_are_no_text():
    html, summary = page.render(report_data(name="odd\udcff", everything=False))
    assert b"odd\\udcff" in html
    index.render_index([index.Entry("odd\udcff", summary, "report_odd\udcff.html")])


def test_everything_optional_may_be_missing(rendered):
    html, _ = page.render(report_data(everything=False))
    tree = Tree(html.decode())
    assert "Chains" not in "".join(tree.texts) and tree.elements.count("svg") == 2
    assert [v["id"] for v in json_of(html.decode(), "meta")["volumes"]] == ["input", "scale", "confidence"]


def test_the_same_bytes_again_and_with_more_threads(rendered):
    data, html, _ = rendered
    assert page.render(data)[0] == html == page.render(data, threads=4)[0]


def test_a_file_that_would_be_too_large_is_reduced_further(monkeypatch, rendered):
    data, html, _ = rendered
    monkeypatch.setattr(page, "LARGEST_BYTES", 0.2 * len(html))
    smaller, _ = page.render(data)
    assert len(smaller) < len(html)
    assert json_of(smaller.decode(), "meta")["grid"]["spacing"] > 1.5


@pytest.mark.parametrize("noise", [0.0, 0.6])
def test_a_level_that_a_coarser_grid_does_not_reach_is_lowered_but_not_into_noise(noise):
    data = report_data(everything=False)
    rng = np.random.default_rng(0)
    volume = (data.input + noise * rng.normal(size=data.input.shape)).astype(np.float32)
    data = replace(data, input=volume, surface_level=100.0)
    meta = json_of(page.render(data)[0].decode(), "meta")
    level, zero = meta["volumes"][0]["level"], data.record["results"]["zero_level"]
    solvent, inside = volume[data.confidence < 0.05], volume[data.confidence > 0.5]
    assert level < 100 and level >= zero + 3 * solvent.std()
    # one voxel in 200 of the content lies inside, or as many as noise allows
    assert (inside > level).mean() == pytest.approx(0.005, abs=0.002) or level == pytest.approx(
        zero + 3 * float(solvent.std()))


def test_a_map_without_content_has_a_report_all_the_same():
    from dataclasses import replace

    data = report_data(everything=False)
    empty = np.zeros_like(data.scale)
    html, summary = page.render(replace(data, scale=empty, confidence=empty, core=core(0.0, voxels=0)))
    assert summary["tone"] == "none" and Tree(html.decode()).elements.count("svg") == 1


def test_an_index_says_what_failed_first(rendered):
    _, _, summary = rendered
    warned = summary | {"name": "warned", "verdicts": [{"code": "a", "sentence": "is odd"}]}
    html = index.render_index([
        index.Entry("fine", summary, "report_fine.html"),
        index.Entry("warned", warned, "report_warned.html"),
        index.Entry(HOSTILE, None, None, f"{HOSTILE}: is cut off")]).decode()
    tree = Tree(html)
    heads = [text for text in tree.texts if text in ("fine", "warned", HOSTILE)]
    assert heads[:3] == [HOSTILE, "warned", "fine"]  # the table of parts follows the cards
    assert ("href", "./report_fine.html") in tree.attributes and "script" not in tree.elements
    assert not any(name.startswith("on") for name, _ in tree.attributes)


def test_addresses_of_reports_are_quoted():
    assert index.Entry("x", {}, "report_a b#?.html").address == "./report_a%20b%23%3F.html"


def test_a_summary_is_read_back(tmp_path, rendered):
    _, html, summary = rendered
    (tmp_path / "report.html").write_bytes(html)
    assert index.read_summary(tmp_path / "report.html") == summary
    (tmp_path / "other.html").write_bytes(b"<p>no report</p>")
    assert index.read_summary(tmp_path / "other.html") is None


def test_a_page_of_classes(rendered):
    _, _, summary = rendered
    rows = [{"class": f"class {k}", "share_of_particles": 0.5, "resolution_angstrom": None, "problem": problem,
             "occupied_volume_angstrom3": None if problem else 5000.0, "mean_scale_in_union": None if problem else 0.4,
             "occupancy in masks/arm.mrc": 0.3, "error in masks/arm.mrc": 0.05}
            for k, problem in enumerate((None, HOSTILE))]
    differences = [{"more": "class 0", "less": "class 1", "volume_angstrom3": 1000.0 * k, "peak": 0.5,
                    "peak_error": 0.1, "share_of_union": 0.1, "centre_xyz_angstrom": None} for k in range(30)]
    entries = [index.Entry("class 0", summary, "report_0.html"), index.Entry("class 1", None, None, HOSTILE)]
    html = index.render_classes(HOSTILE, entries, rows, differences, 7.0)
    tree = Tree(html.decode())
    text = "".join(tree.texts)
    assert "0.30 ± 0.05" in text and "arm.mrc" in text and "And 17 smaller ones" in text
    assert "img" in tree.elements and not any(name.startswith("on") for name, _ in tree.attributes)


def test_options_that_were_given_are_told_of_with_the_settings():
    data = report_data()
    rows = [(row["name"], row["value"]) for row in tables.settings(data, tables.Paths(data, False))
            if row["origin"] == "given"]
    assert rows == [("amplify", "yes"), ("target mask", "arm.mrc, leg.mrc")]


def test_a_page_of_classes_with_many_parts_shows_those_that_differ_and_folds_the_others(rendered):
    _, _, summary = rendered
    names = [f"chain{k}" for k in range(100)]
    pairs = [SimpleNamespace(part=names[k], more="a", less=less, difference=0.5, se=0.01, p_corrected=1e-9,
                             significant=True) for k in (90, 50) for less in "bc"]
    found = SimpleNamespace(classes=list("abc"), names=names, atoms=np.ones(100, int), warnings=[],
                            occupancy=np.ones((3, 100)), se=np.full((3, 100), 0.01), reference=np.zeros(100, bool),
                            differences=pairs, significant=pairs)
    rows = [{"class": label, "share_of_particles": None, "resolution_angstrom": None, "problem": None,
             "occupied_volume_angstrom3": 5000.0, "mean_scale_in_union": 0.4} for label in "abc"]
    entries = [index.Entry(label, summary, f"report_{label}.html") for label in "abc"]
    html = index.render_classes("run", entries, rows, [], 7.0, found).decode()
    Tree(html)
    shown, folded = html.split("<details>")
    assert shown.index("chain90") < shown.index("chain50") < shown.index("chain0<")
    assert "76 more parts" in folded and folded.count("1.00 ± 0.01") == 3 * 76 and "chain99" not in shown
    differences = folded[folded.index("Parts that differ between classes"):]
    assert differences.count("chain90") == differences.count("chain50") == 1 and "And 2 more" in differences


def test_a_png_is_what_it_was_made_of():
    picture = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    data = png.png(picture)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    body = data[data.index(b"IDAT") + 4:data.index(b"IEND") - 8]
    rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(5, 22)
    assert set(rows[:, 0]) == {2}
    assert np.array_equal(np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8), picture.reshape(5, 21))


@pytest.mark.parametrize("low, high", [(0, 1), (-0.37, 12.4), (1e-9, 3e-9), (0, 0), (-5e6, 9e6)])
def test_ticks_are_round_and_inside(low, high):
    found = charts.ticks(low, high)
    assert len(found) <= 8 and all(low <= v <= high * (1 + 1e-9) for v in found)
    assert len(found) >= 2 or low == high


def test_the_text_for_a_paper_says_what_was_done():
    data = report_data()
    plain = words.methods(data.record, [])
    assert "low-passed to 9.0 Å" in plain and "sphere of radius 1.5 Å" in plain and "modified" not in plain
    assert f"{data.core.weak_share:.0%} has a scale below 0.5" in plain
    data.record["results"]["bands"] = [{"to_angstrom": 6.0}]
    data.record["settings"]["exclude_solvent"] = True
    text = words.methods(data.record, ["amplify"])
    assert "band by band, without amplifying noise (amplify; solvent was suppressed)" in text
    data.record["settings"]["scale_mode"] = "resolution"
    assert "from the map without a filter, as the maximum" in words.methods(data.record, [])


def test_the_text_for_a_paper_names_half_maps_masks_models_and_flexibility():
    data = report_data()
    found = data.record["results"]
    plain = words.methods(data.record, [])
    assert "from the map low-passed" in plain
    assert not any(word in plain for word in ("half maps", "nearby", "B factor", "inside a mask", "flexibility"))
    data.record["settings"]["noise_floor"] = "local"
    assert "from solvent nearby" in words.methods(data.record, [])
    found["half_maps"] = {"correlation": 0.8125, "ratio": 1.0, "independence": 1.03}
    found["flexibility"] = {"b_factor_quantiles": {"0.05": -5.0, "0.5": 3.0, "0.95": 11.0}, "bands": [
        {"from_angstrom": 24.0, "to_angstrom": 12.0, "used": True},
        {"from_angstrom": 12.0, "to_angstrom": 8.0, "used": True},
        {"from_angstrom": 8.0, "to_angstrom": 6.0, "used": False}]}
    found["targets"], found["parts"] = [{}], [{}]
    text = words.methods(data.record, [])
    assert "from the mean of its half maps low-passed" in text and "nearby" not in text
    assert "in 2 bands from 24 to 8 Å" in text and "median of the scale" in text and "fitted to the map" in text
    assert ("half maps", "0.812", "correlation in content; independence of their noise 1.03 (1 is ideal)") in (
        tables.results(data))
    found["half_maps"] |= {"map_correlation": 0.95, "independence": None}
    assert "the mean of its half maps, scaled to its spectrum and low-passed" in words.methods(data.record, [])
    assert "for lack of solvent" in [row for row in tables.results(data) if row[0] == "half maps"][0][2]


def test_whole_numbers_have_no_sign_at_zero():
    assert [words.whole(value) for value in (-0.4, 0.0, 0.6, -3.2, np.float32(-0.1))] == ["0", "0", "1", "-3", "0"]


def rows_of(html):
    """Name, value, dB, cc of every row of the table of parts, in the order of the page."""
    section = html[html.index('<section id="parts">'):html.index('<section id="surface">')]
    cells = re.findall(r"<tr data-part=\"(\d+)\".*?</tr>", section, re.DOTALL)
    values = re.findall(r'<td class="number">([^<]*)</td>', section)
    return [int(number) for number in cells], [values[k:k + 3] for k in range(0, len(values), 3)]


def test_parts_stand_strongest_first_with_b_factor_and_correlation(rendered):
    _, html, _ = rendered
    order, values = rows_of(html.decode())
    assert order == [1, 0, 2]
    assert values == [["1.02 ± 0.02", "2 ± 2", "0.91"], ["0.30", "–", "–"], ["0.12 ± 0.01", "fixed", "0.40"]]


def test_bars_reach_beyond_1_and_errors_can_be_seen():
    """As of haemoglobin's chain A, 1.02 ± .02: its whole whisker lies inside of the picture, beyond the mark of 1."""
    axis = charts.occupancy_range([(1.02, 0.02), (0.1, 0.001)])
    assert axis == (0.0, 1.05)
    svg = charts.whisker(1.02, 0.02, axis)
    one = float(re.search(r'class="one" d="M([\d.]+)', svg)[1])
    left, right = map(float, re.search(r'class="whiskers" d="M([\d.]+),10H([\d.]+)', svg).groups())
    bar, width = map(float, re.search(r'<rect x="([\d.]+)" y="5" width="([\d.]+)"', svg).groups())
    assert one < bar + width < right < 200 and left == pytest.approx(one, abs=0.11)
    left, right = map(float, re.search(r'class="whiskers" d="M([\d.]+),10H([\d.]+)',
                                       charts.whisker(0.1, 0.001, axis)).groups())
    assert right - left >= 5
    assert charts.occupancy_range([(0.5, None), (-0.1, 0.05), (float("nan"), 0.1), (9.0, 1.0)]) == (-0.15, 2.0)
    assert "NaN" not in charts.whisker(0.5, float("nan"), axis)


def test_profiles_have_a_chart_for_each_chain_with_all_residues(rendered):
    data, html, _ = rendered
    html = html.decode()
    line = re.search(r'<polyline class="line" points="([^"]+)"', html)[1]
    assert len(line.split()) == len(data.profiles[0].labels)
    assert html.index('<section id="residues"') > html.index('<section id="sections">')


def test_regions_follow_where_a_page_is_reduced_further(rendered):
    data, html, _ = rendered
    assert np.array_equal(volume_of(html.decode(), "region0"), data.regions[0].ravel())
    reduced = coarser(data, 0.5)
    assert reduced.regions[0].shape == reduced.grid.shape and set(np.unique(reduced.regions[0])) == {0, 1, 2}


def test_the_histogram_leaves_no_room_for_single_voxels():
    """Of a million voxels one at ten times full scale would leave nine tenths of the chart empty."""
    values = np.random.default_rng(0).normal(0, 0.1, 1_000_000)
    values[0] = 10.0
    counts, edges = np.histogram(values, 1000)
    histogram = Histogram(edges, counts, None, (("full scale", 1.0),))
    ends = [float(text) for text in re.findall(r'text-anchor="middle">(-?[\d.]+)</text>',
                                               charts.density_histogram(histogram))]
    assert max(ends) <= 1.1 and min(ends) >= -0.6 and "full scale 1" in charts.density_histogram(histogram)
    shown, left = charts._without_tails(histogram)
    assert counts.sum() - left.sum() <= 20 and shown.size == left.size + 1


def command_of(html):
    """Text of the command, as the button copies it."""
    text = re.search(r'<pre id="command">(.*?)</pre>', html, re.DOTALL)[1]
    return html_module.unescape(re.sub(r"</?mark>", "", text))


@pytest.mark.parametrize(("given", "shown", "missing"), [
    ("maps/a map.mrc", "'maps/a map.mrc'", False), ("../x.mrc", "../x.mrc", False), ("$HOME.mrc", "'$HOME.mrc'", False),
    ("FOLDER/x.mrc", "FOLDER/x.mrc", False), ("/", "/", False),
    ("/elsewhere/secret/x.mrc", "FOLDER/x.mrc", True), ("/elsewhere/secret/a & b.mrc", "'FOLDER/a & b.mrc'", True),
    ("@/elsewhere/secret/list", "@FOLDER/list", True), ("/elsewhere/secret/maps/", "FOLDER/maps", True),
    ("--output-map=/elsewhere/secret/y.mrc", "--output-map=FOLDER/y.mrc", True),
    ("--output-map=sub/y.mrc", "--output-map=sub/y.mrc", False)])
def test_the_command_runs_as_it_was_given(given, shown, missing):
    data = report_data(everything=False)
    data.record["command_line"] = ["/env/bin/OccuPy", "-i", given]
    html = page.render(data)[0].decode()
    assert command_of(html) == f"OccuPy -i {shown}"
    assert ("<mark>FOLDER</mark>/" in html) is ("<mark>FOLDER</mark> by the folder of" in html) is missing
    assert "secret" not in html
    assert command_of(page.render(data, show_paths=True)[0].decode()) == shlex.join(["OccuPy", "-i", given])


def test_each_folder_that_is_not_shown_has_a_placeholder_of_its_own():
    data = report_data(everything=False)
    data.record["command_line"] = ["OccuPy", "-i", "/p/secret/x.mrc", "--model", "/q/secret/m.cif", "--half-maps",
                                   "/p/secret/h1.mrc", "/p/secret/h2.mrc"]
    html = page.render(data)[0].decode()
    assert command_of(html) == ("OccuPy -i FOLDER1/x.mrc --model FOLDER2/m.cif --half-maps FOLDER1/h1.mrc "
                                "FOLDER1/h2.mrc")
    assert re.sub(r"<[^>]+>", "", html).count("FOLDER1 by the folder of x.mrc, h1.mrc, h2.mrc and FOLDER2 by the "
                                              "folder of m.cif.") == 1
    assert "secret" not in html


def test_absolute_paths_below_the_working_directory_become_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = report_data(everything=False)
    data.record["command_line"] = ["OccuPy", "-i", str(tmp_path / "in" / "x.mrc")]
    html = page.render(data)[0].decode()
    assert command_of(html) == "OccuPy -i in/x.mrc" and "by the folder of" not in html


def test_an_index_of_maps_with_a_model_shows_the_parts_that_vary_first(tmp_path):
    def entry(name, *rows):
        summary = page.render(report_data(name=name, everything=False))[1]
        summary["parts"] = [{"part": part, "occupancy": o, "error": s} for part, o, s in rows]
        return index.Entry(name, summary, f"report_{name}.html")

    same = [(f"p{k}", 1.0, 0.02) for k in range(30)]
    entries = [entry("m1", *same, ("E", 0.1, 0.02)), entry("m2", *same, ("E", 0.9, 0.02)), entry("m3"),
               index.Entry("bad", problem="is no map")]
    html = index.render_index(entries).decode()
    assert "The part that varies between the 2 maps: E (10 ± 2% in m1 to 90 ± 2% in m2)." in html
    assert "--common-scale" in html and "--states" in html and "And 7 more parts" in html
    assert html.count("low-pass ") == 3  # once for each map
    heads = re.findall(r"<th>(\w+)</th>", html)
    assert heads[:3] == ["map", "E", "p0"] and len(heads) == 25
    assert re.findall(r"<td class=\"cell nowrap\" [^>]*>([^<]*)</td>", html)[0] == "0.10 ± 0.02"
    assert "--states" not in index.render_index([entry("m3"), entry("m4")]).decode()


def test_parts_of_a_summary_that_was_edited_are_left_out(tmp_path, rendered):
    _, html, summary = rendered
    assert [row["part"] for row in summary["parts"]] == ["sample", "chain A", "chain B"]
    odd = html.replace(b'"occupancy": 0.3', b'"occupancy": "x"')
    (tmp_path / "report.html").write_bytes(odd)
    read = index.read_summary(str(tmp_path / "report.html"))
    assert [row["part"] for row in read["parts"]] == ["chain A", "chain B"]


def test_white_is_transparent_in_stills(rendered):
    _, html, _ = rendered
    poster = re.search(r'id="poster".*?base64,([^"]+)"', html.decode(), re.DOTALL)[1]
    raw = base64.b64decode(poster)
    at = raw.index(b"tRNS")
    assert raw[at + 4:at + 10] == b"\x00\xff" * 3 and at < raw.index(b"IDAT")
