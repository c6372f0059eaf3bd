"""The page of states: what is packed, what is said, what is safe; and the page in a real browser."""

import base64
import configparser
import fnmatch
import hashlib
import json
import pathlib
import re
import shutil
import zlib

import numpy as np
import pytest

pytest.importorskip("jinja2")

from occupy_jit.reports.states_page import data, family, graph, page, views, words
from tests.reports.sample import HOSTILE
from tests.reports.states_sample import maps, record
from tests.reports.test_browser import chromium  # noqa: F401 (a fixture)

pytestmark = pytest.mark.slow


def payload_of(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])


def test_numbers_survive_to_half_a_step_and_the_unknown_stays_unknown():
    values = np.random.default_rng(0).uniform(-2, 3, (5, 7)).tolist()
    values[2][3] = None
    steps = np.frombuffer(base64.b64decode(data.packed(values)), "<i2").reshape(5, 7)
    assert steps[2, 3] == data.UNKNOWN
    for (k, row) in enumerate(values):
        for (j, value) in enumerate(row):
            assert value is None or abs(steps[k, j] * data.STEP - value) <= data.STEP / 2 + 1e-12


def test_a_number_too_large_is_kept_apart_from_the_unknown():
    steps = np.frombuffer(base64.b64decode(data.packed([[1e9, -1e9, None]])), "<i2")
    assert steps[0] > 0 and steps[1] < 0 and data.UNKNOWN not in steps[:2] and steps[2] == data.UNKNOWN


def test_leaves_of_a_merge_stand_side_by_side():
    tree = [{"one": 0, "other": 3}, {"one": 1, "other": 4}, {"one": 5, "other": 6}]
    order = data.leaves(tree, 5)
    assert sorted(order) == list(range(5))
    assert abs(order.index(0) - order.index(3)) == 1 and abs(order.index(1) - order.index(4)) == 1
    assert sorted(data.leaves(tree[:1], 5)) == list(range(5))
    assert data.leaves([], 2) == [0, 1]


def test_the_head_names_states_shares_and_undecided_parts():
    said = " ".join(words.sentences(record()))
    assert said.startswith("3 states. State 1 (33% of volumes): all parts present. State 2 (33% of volumes): "
                           "without D.")
    assert "State 3 (33% of volumes): without C, D; undecided B." in said


def test_one_state_and_a_continuous_family_are_said_to_be_that():
    one = record(states=1) | {"graph": []}
    assert words.sentences(one)[0] == "One state:" and graph.drawing(one) == ""
    family = record() | {"kind": "continuous", "continuum": {"directions": 2, "coordinates": [[k, 0] for k in
                                                                                              range(12)]}}
    assert "neighbourhoods" in " ".join(words.sentences(family))
    html = page.render(family).decode()
    assert 'aria-label="Graph' not in html and payload_of(html)["coordinate"] == list(range(12))


def graph_of(edges, present):
    states = [{"state": s, "present": ["x"] * number} for s, number in present.items()]
    return states, [{"from": a, "to": b} for a, b in edges]


def test_no_edges_cross_where_they_need_not():
    two_ladders = graph_of([(1, 4), (2, 3), (4, 5), (3, 6)], {1: 1, 2: 1, 3: 2, 4: 2, 6: 3, 5: 3})
    assert graph.crossings(*two_ladders) == 0
    skipping = graph_of([(1, 4), (2, 3), (3, 5), (4, 5), (2, 5)], {1: 1, 2: 1, 3: 2, 4: 2, 5: 3})
    assert graph.crossings(*skipping) == 0
    complete = graph_of([(a, b) for a in (1, 2) for b in (3, 4)], {1: 1, 2: 1, 3: 2, 4: 2})
    assert graph.crossings(*complete) == 1
    rng = np.random.default_rng(1)
    for _ in range(20):  # trees of four generations, whose members are told in any order
        name = dict(zip(range(1, 16), map(int, rng.permutation(15)), strict=True))
        present = {name[k]: 4 - k.bit_length() for k in rng.permutation(range(1, 16)).tolist()}
        assert graph.crossings(*graph_of([(name[k], name[k // 2]) for k in range(2, 16)], present)) == 0


def test_labels_of_edges_lie_on_no_other_label_or_state():
    told = record(states=4, names=("A", "B", "C", "D", "E"))
    told["graph"] = [{"from": s, "to": t, "adds": ["a long name", "and another"], "loses": [], "undecided": []}
                     for s, t in ((4, 3), (3, 2), (2, 1), (4, 2), (3, 1), (4, 1))]
    svg = graph.drawing(told)
    boxes = [(float(x) - 3.2 * len(text), float(y) - 11, float(x) + 3.2 * len(text), float(y) + 3) for x, y, text in
             re.findall(r'<text x="([-\d.]+)" y="([-\d.]+)" text-anchor="middle" font-size="12" class="strong"><title>'
                        r'[^<]*</title>([^<]*)</text>', svg)]
    boxes += [(float(x) - float(r), float(y) - float(r), float(x) + float(r), float(y) + float(r)) for x, y, r in
              re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', svg)]
    assert len(boxes) == 6 + 4
    for k, one in enumerate(boxes):
        assert not any(one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
                       for other in boxes[:k])


def test_nodes_of_the_graph_show_the_mean_maps():
    html = page.render(record(), None, maps()).decode()
    assert len(set(re.findall(r'<image href="(data:[^"]*)"', html))) == 3
    assert "<image href=" not in page.render(record()).decode().split("<script>")[0]


def test_a_continuous_family_shows_its_volumes_in_order_and_curves_of_its_parts():
    told = record() | {"kind": "continuous", "graph": [], "continuum": {
        "directions": 1, "coordinates": [[k / 11] for k in range(12)],
        "curves": [{"direction": 1, "part": part, "position": [0.0, 0.5, 1.0], "occupancy": [0.0, change / 2, change],
                    "se": [0.1, 0.1, 0.1]} for part, change in (("A", 0.3), ("C", 0.9))]}}
    svg = family.drawing(told, views.shown(maps(), list("ABCD"))["pictures"])
    places = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', svg)]
    np.testing.assert_allclose(np.diff(places), np.diff(places)[0], atol=0.11)
    assert re.findall(r'data-name="(\w)"', svg) == ["C", "A"]  # that which changes most comes first
    html = page.render(told).decode()
    assert "The family" in html and html.count('class="curve"') == 2


def test_shares_of_volumes_are_not_called_populations():
    assert "not measure populations" in page.render(record()).decode()
    assert "not measure populations" in page.render(record() | {"shares_of": "particles"}).decode()


def test_a_column_of_the_graph_is_a_number_of_parts_and_a_long_edge_passes_beside_the_states_between():
    states = [{"state": k + 1, "present": list("ABCD")[:4 - k]} for k in range(3)]
    place = graph.layout(states, [{"from": 3, "to": 2}, {"from": 2, "to": 1}, {"from": 3, "to": 1}])
    assert [place[k][0] for k in (3, 2, 1)] == [0, 1, 2]
    passage = place[3, 1, 1]
    assert passage[0] == place[2][0] and passage[1] != place[2][1]


def test_the_layout_uncrosses_two_edges_that_can_be_uncrossed():
    states = [{"state": k, "present": "A" * n} for k, n in ((1, 1), (2, 1), (3, 2), (4, 2))]
    place = graph.layout(states, [{"from": 1, "to": 4}, {"from": 2, "to": 3}])
    assert (place[1][1] - place[2][1]) * (place[4][1] - place[3][1]) > 0


def test_the_policy_names_the_one_script_and_nothing_is_loaded():
    html = page.render(record()).decode()
    script = re.search(r"<script>(.*)</script>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", html)
    assert html.count("<script>") == 1 and not re.search(r"\son\w+=", html.split("<script")[0])


def test_names_are_text_wherever_they_stand():
    told = record(names=("A", "B", "C", HOSTILE)) | {"warnings": [HOSTILE], "left_out": [{"map": HOSTILE,
                                                                                         "reason": HOSTILE}]}
    told["volumes"][0]["map"] = HOSTILE
    html = page.render(told).decode()
    assert "<img" not in html and html.count("</script>") == 2
    assert HOSTILE in payload_of(html)["parts"] and payload_of(html)["volumes"][0] == HOSTILE


def test_a_thousand_volumes_of_136_parts_stay_below_eight_megabytes():
    told = record(volumes=1000, names=[f"L{k}" for k in range(136)], states=12)
    told["order"] = [{"part": f"L{a}", "other": f"L{b}", "relation": "together", "evidence": 0.987654, "states": 12}
                     for a in range(136) for b in range(a)]
    assert len(page.render(told, None, noisy_maps(200, list(range(1, 137))))) < 8e6


def noisy_maps(size, numbers):
    """As many mean maps as a page takes, of noise, which does not compress; parts lie in layers."""
    rng = np.random.default_rng(0)
    one, part = rng.random((2, size // 2, size // 2, size // 2), np.float32), np.zeros((size // 2,) * 3, np.int32)
    for k, layer in enumerate(np.array_split(part, len(numbers), axis=0)):
        layer[:] = numbers[k]
    return views.Views(tuple(views.StateView(np.roll(one[0], k), np.roll(one[1], k), 0.5)
                             for k in range(views.MOST_STATES)), part, 1.0, 3.0)


def test_packages_carry_every_template_style_and_script():
    root = pathlib.Path(__file__).parents[2]
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg")
    patterns = settings["options.package_data"]["occupy_jit"].split()
    assets = [path.relative_to(root / "occupy_jit").as_posix() for path in root.glob("occupy_jit/reports/*/assets/*")]
    assert len(assets) > 10
    assert [name for name in assets if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)] == []


def volume_of(packed, shape):
    return np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8).reshape(shape)


def test_maps_keep_their_values_and_places_in_the_box_around_them():
    given = maps()
    told = views.shown(given, list("ABCD"))
    size, high = told["meta"]["grid"]["size"], told["meta"]["volumes"][0]["high"]
    crop = tuple(slice(int(p.min()) - 3, int(p.max()) + 4) if p.min() >= 3 else slice(None)
                 for p in np.nonzero(given.states[0].scale > 0))
    for k, state in enumerate(given.states):
        found = volume_of(told["data"][f"state{k}"], size[::-1]) * high / 255
        assert np.abs(found - np.minimum(state.density[crop], high)).max() <= high / 510 + 1e-6
    np.testing.assert_array_equal(volume_of(told["data"]["layer0"], size[::-1]), given.parts[crop])
    stops = dict((round(255 * place), colour) for place, colour in told["meta"]["volumes"][-1]["stops"])
    assert stops[1] != stops[2] != stops[3] and len(stops) == 256
    assert len(told["pictures"]) == 3 and len(set(told["pictures"])) == 3


def test_more_than_255_parts_have_layers_of_their_own():
    number = np.zeros((8, 8, 8), np.int32)
    number[2, 3, 4], number[5, 5, 5] = 255, 256
    cube = np.zeros((8, 8, 8), np.float32)
    cube[1:7, 1:7, 1:7] = 1
    told = views.shown(views.Views((views.StateView(cube, cube, 0.5),), number, 1.0, 1.0), [str(k) for k in range(300)])
    assert told["meta"]["layers"] == 2
    first, second = (volume_of(told["data"][f"layer{k}"], told["meta"]["grid"]["size"][::-1]) for k in range(2))
    assert sorted(np.unique(first)) == [0, 255] and sorted(np.unique(second)) == [0, 1]


def test_maps_of_many_states_stay_small():
    told = views.shown(noisy_maps(180, [1]), ["A"])
    assert sum(map(len, told["data"].values())) < views.LARGEST_BYTES


def test_means_wait_for_each_other_in_a_bounded_memory_and_finer_than_they_are_shown():
    from occupy_jit.runs.states.state_views import most_voxels

    for number in (1, 4, 24, 1000):
        shown = min(number, views.MOST_STATES)
        assert 4 * 2 * shown * most_voxels(number) <= 256e6  # bytes of two float32 volumes a state
        # content that takes a third of its box is still finer than the page shows it
        assert most_voxels(number) / 3 >= min(views._MOST_VOXELS, views._MOST_OF_ALL / shown)


def test_a_page_without_maps_says_so():
    html = page.render(record()).decode()
    assert "no mean maps" in html and 'id="meta"' not in html and 'id="mapview"' not in html
    assert "no mean maps" not in page.render(record(), None, maps()).decode()


# In a browser ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Opens a record as a page; collects errors and what it asks of a network."""
    here = tmp_path_factory.mktemp("states")
    (here / "report_vol_0.html").write_text("<title>report of volume 0</title>")

    def opened(browser, told, reports=None, means=None, **context):
        path = here / f"{abs(hash(str(told['parts'])))}.html"
        path.write_bytes(page.render(told, reports, means))
        tab = browser.new_context(**context).new_page()
        tab.troubles = []
        tab.on("pageerror", lambda error: tab.troubles.append(str(error)))
        tab.on("console", lambda line: tab.troubles.append(line.text) if line.type == "error" else None)
        tab.on("request", lambda asked: None if asked.url.startswith(("file:", "data:", "blob:"))
               else tab.troubles.append(asked.url))
        tab.goto(path.as_uri())
        tab.wait_for_function("window.occupyStates && window.occupyStates.ready")
        return tab

    return opened


def until(tab, expression):
    """Wait until it is true; the policy of the page lets no test be evaluated in it again and again."""
    for _ in range(100):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(100)
    raise AssertionError(expression)


def click_cell(tab, row, column):
    x, y = tab.evaluate("([r, c]) => { const { frame, heat: { view } } = occupyStates;"
                        "return [frame.left + (c + .5 - view.x) * view.sx, frame.top + (r + .5 - view.y) * view.sy]; }",
                        [row, column])
    tab.locator("#heatover").click(position={"x": x, "y": y})


def said(tab):
    return tab.locator("#chosen").inner_text()


@pytest.mark.browser
def test_cell_state_sort_filter_and_keys_do_what_they_say(chromium, shown):  # noqa: F811
    told = record()
    tab = shown(chromium(), told, {"vol_0.mrc": "./report_vol_0.html"})
    heat = "occupyStates.heat"
    tab.select_option("#sortrows", "name")
    tab.select_option("#sortcolumns", "name")
    click_cell(tab, 3, 1)
    value, error = told["occupancy"]["of_volumes"][1][3], told["occupancy"]["se_of_volumes"][1][3]
    assert said(tab).startswith(f"D in vol_1.mrc, state 2: {value:.2f} ± {error:.2f}, absent")
    assert tab.locator("#partname").evaluate("s => s.selectedOptions[0].text") == "D"
    assert tab.locator("tr.chosen").get_attribute("data-state") == "2"
    assert tab.locator("#partsays").inner_text() == "present in 4, absent in 8, undecided in 0 of 12 volumes"
    tab.locator("#heatover").press("ArrowUp")
    tab.locator("#heatover").press("ArrowLeft")
    assert said(tab).startswith("C in vol_0.mrc, state 1") and "Open its report" in said(tab)
    before = tab.evaluate(f"{heat}.view.sx")
    tab.locator("#heatover").press("+")
    assert tab.evaluate(f"{heat}.view.sx") > before
    tab.locator("#heatover").press("0")
    assert tab.evaluate(f"{heat}.view.sx") == before
    tab.select_option("#sortrows", "size")
    assert tab.evaluate(f"{heat}.rows") == [3, 2, 1, 0]
    tab.fill("#filtercolumns", "vol_11")
    assert tab.evaluate(f"{heat}.columns") == [11]
    tab.fill("#filtercolumns", "nothing")
    assert said(tab) == "Nothing passes the filters."
    tab.fill("#filtercolumns", "")
    tab.locator("tr[data-state='3']").click()
    assert "2 present" not in tab.locator("#stateinfo").inner_text()
    assert tab.locator("#stateinfo").inner_text() == "State 3: 1 parts present, 2 absent, 1 undecided."
    tab.locator("g.node[data-state='2']").focus()
    tab.keyboard.press("Enter")
    assert tab.locator("#stateinfo").inner_text().startswith("State 2:")
    tab.select_option("#columns", "states")
    click_cell(tab, 0, 1)
    assert said(tab).startswith("D in state 2: 0.00 ± 0.03, absent")
    assert "only with" in tab.locator("#pairsays").inner_text()
    tab.select_option("#pairx", "0")
    assert tab.locator("#pairsays").inner_text() == "No certain relation between these two parts."
    assert tab.troubles == []


@pytest.mark.browser
def test_the_name_of_a_row_chooses_its_part_and_leaves_the_volume_also_after_zooming(chromium, shown):  # noqa: F811
    tab = shown(chromium(), record(volumes=60))
    tab.select_option("#sortrows", "name")
    tab.select_option("#sortcolumns", "name")
    click_cell(tab, 3, 2)
    for _ in range(6):
        tab.locator("#heatover").press("+")
    x, y, part = tab.evaluate("(() => { const { frame, heat: { view, rows } } = occupyStates, r = Math.ceil(view.y);"
                              "return [frame.left + frame.width + 9, frame.top + (r + .5 - view.y) * view.sy, rows[r]];"
                              "})()")
    assert part != 3
    # there are columns beyond the edge of the view
    assert tab.evaluate("60 - occupyStates.heat.view.x > 1 + occupyStates.frame.width / occupyStates.heat.view.sx")
    tab.locator("#heatover").click(position={"x": x, "y": y})
    assert said(tab).startswith(f"{'ABCD'[part]} in vol_2.mrc")
    assert tab.locator("#partname").evaluate("s => s.selectedOptions[0].text") == "ABCD"[part]


@pytest.mark.browser
def test_mean_maps_show_the_chosen_state_and_part_and_what_two_states_differ_in(chromium, shown):  # noqa: F811
    tab = shown(chromium(), record(), means=maps())
    until(tab, "window.occupyStates.maps")
    there = "occupyStates.maps"
    said_of_map = tab.locator("#mapsays")
    picture = f"{there}.view.png()"
    full = tab.evaluate(picture)
    whole = tab.evaluate(f"{there}.view.triangles")
    tab.locator("g.node[data-state='2']").click()
    until(tab, f"{there}.view.state.map === 'state1' && {there}.view.triangles < {whole}")
    assert tab.evaluate(picture) != full and tab.locator("#mapstate").evaluate("s => s.value") == "1"
    tab.select_option("#sortrows", "name")
    tab.select_option("#sortcolumns", "name")
    click_cell(tab, 3, 1)  # D in a volume of state 2, which lacks it
    until(tab, f"{there}.showing.part === 3 && {there}.view.state.cube === true")
    assert said_of_map.inner_text() == "State 2. D is absent in this state (0.00 ± 0.03)."
    click_cell(tab, 0, 1)
    until(tab, f"{there}.showing.part === 0 && {there}.view.state.cube === false")
    lit = tab.evaluate(f"(() => {{ const id = {there}.view.state.colour; return [id, {there}.volumes[id].reduce("
                       "(n, x) => n + (x > 0), 0)]; })()")
    assert lit[0].startswith("lit") and 0.5 < lit[1] / (maps().parts == 1).sum() < 1.01
    tab.select_option("#mapcolour", "scale")
    tab.select_option("#mapother", "0")
    until(tab, f"{there}.view.state.colour.startsWith('change')")
    change = tab.evaluate(f"(() => {{ const b = {there}.volumes[{there}.view.state.colour]; let least = 255, most = 0;"
                          "for (const x of b) { least = Math.min(least, x); most = Math.max(most, x); }"
                          "return [least, most]; })()")
    assert change == [0, 127]  # state 1 has more, nowhere less
    tab.select_option("#mapstate", label="3")
    until(tab, f"{there}.view.state.map.startsWith('union2')")
    tab.select_option("#mapother", "all")
    until(tab, f"{there}.view.state.map.startsWith('union2-all') && {there}.view.triangles >= {whole}")
    assert tab.locator("#mapkey").inner_text().startswith("only in other states")
    tab.select_option("#mapcolour", "parts")
    until(tab, f"{there}.view.state.colour === 'layer0'")
    # the middle of the picture is a part, and a click there chooses it
    tab.evaluate("occupyStates.chosen.part = 99")
    box = tab.locator("#mapstage canvas").bounding_box()
    tab.locator("#mapstage canvas").click(position={"x": box["width"] / 2 - 20, "y": box["height"] / 2})
    until(tab, "occupyStates.chosen.part < 4")
    with tab.expect_download() as got:
        tab.locator("#mappng").click()
    assert got.value.suggested_filename == "state_3.png"
    assert tab.troubles == []


@pytest.mark.browser
def test_rows_and_columns_are_grouped_and_folded(chromium, shown):  # noqa: F811
    told = record(names=("A", "A/HEM1", "B", "B/HEM2"))
    tab = shown(chromium(), told)
    tab.select_option("#grouprows", "chain")
    tab.select_option("#groupcolumns", "state")
    names = lambda side: tab.evaluate(f"occupyStates.heat.groups.{side}.map(group => group.name)")  # noqa: E731
    assert names("rows") == ["A", "B"] and names("columns") == ["state 1", "state 2", "state 3"]
    assert tab.evaluate("occupyStates.heat.columns.map(k => k % 3)") == 4 * [0] + 4 * [1] + 4 * [2]
    # a click on the name of the second state folds it; its one column is the state
    x, y = tab.evaluate("[occupyStates.frame.left + 5.5 * occupyStates.heat.view.sx, occupyStates.frame.top - 12]")
    tab.locator("#heatover").click(position={"x": x, "y": y})
    assert tab.evaluate("occupyStates.heat.columns.length") == 9
    click_cell(tab, 0, 4)
    part = tab.evaluate("occupyStates.heat.rows[0]")
    value = told["occupancy"]["of_states"][1][part]
    assert said(tab).startswith(f"{told['parts'][part]['part']} in state 2: {value:.2f} ± 0.03")
    # f folds the group of the row: the mean by size
    tab.locator("#heatover").press("f")
    assert tab.evaluate("occupyStates.heat.rows.length") == 3
    click_cell(tab, 0, 0)
    of_volume = np.array(told["occupancy"]["of_volumes"])[tab.evaluate("occupyStates.heat.columns[0]")][:2]
    assert said(tab).startswith("A (2) in vol_")
    assert f": {np.array([100, 200]) @ of_volume / 300:.2f} ± {0.05 * 5 ** .5 / 3:.2f}" in said(tab)
    tab.locator("#heatover").press("f")
    tab.select_option("#groupcolumns", "")
    assert tab.evaluate("[occupyStates.heat.rows.length, occupyStates.heat.columns.length]") == [4, 12]
    tab.select_option("#grouprows", "kind")
    assert names("rows") == ["chains", "ligands"]
    assert tab.troubles == []


@pytest.mark.browser
def test_the_heat_map_is_a_table_on_demand(chromium, shown):  # noqa: F811
    told = record(volumes=30)
    tab = shown(chromium(), told)
    tab.select_option("#sortrows", "name")
    tab.select_option("#sortcolumns", "name")
    assert tab.locator("#matrixtable td").count() == 0
    tab.locator("#matrix summary").click()
    tab.wait_for_timeout(100)
    assert tab.locator("#matrixtable td").count() == 4 * 25
    assert tab.locator("#matrixtable thead th[scope=col]").count() == 26
    value = told["occupancy"]["of_volumes"][1][3]
    assert tab.locator("#matrixtable tbody tr").nth(3).locator("td").nth(1).inner_text() == (
        f"{value:.2f} ± 0.05 absent")
    tab.locator("#matrixnext").click()
    assert tab.locator("#matrixsays").inner_text() == "Columns 26 to 30 of 30"
    tab.fill("#filterrows", "B")
    assert tab.locator("#matrixtable tbody tr").count() == 1
    assert tab.troubles == []


@pytest.mark.browser
def test_two_fingers_zoom_the_heat_map(chromium, shown):  # noqa: F811
    tab = shown(chromium(), record(volumes=60))
    before = tab.evaluate("occupyStates.heat.view.sx")
    tab.evaluate("""() => {
      const over = document.querySelector("#heatover"), box = over.getBoundingClientRect();
      over.setPointerCapture = () => {};
      const send = (type, id, x) => over.dispatchEvent(new PointerEvent(type, { pointerId: id, pointerType: "touch",
        clientX: box.left + x, clientY: box.top + 90, bubbles: true }));
      send("pointerdown", 1, 300); send("pointerdown", 2, 340);
      for (let k = 0; k < 5; k++) { send("pointermove", 1, 300 - 8 * k); send("pointermove", 2, 340 + 8 * k); }
      send("pointerup", 1, 268); send("pointerup", 2, 372); }""")
    assert tab.evaluate("occupyStates.heat.view.sx") > 1.5 * before


@pytest.mark.browser
def test_trees_of_states_and_of_parts_are_drawn(chromium, shown):  # noqa: F811
    tab = shown(chromium(), record())
    trees = "[occupyStates.heat.rowTree, occupyStates.heat.columnTree].map(tree => tree && tree.length)"
    assert tab.evaluate(trees) == [3, 11]
    tab.select_option("#columns", "states")
    assert tab.evaluate(trees) == [3, 2]
    ink = tab.evaluate("(() => { const { frame } = occupyStates, c = document.querySelector('#heatmain');"
                       "const ratio = c.width / c.clientWidth, d = c.getContext('2d').getImageData(frame.left * ratio,"
                       "0, frame.width * ratio, (frame.top - 3) * ratio).data; let n = 0;"
                       "for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; })()")
    assert ink > 50
    tab.select_option("#sortcolumns", "name")
    assert tab.evaluate(trees) == [3, None]


def test_states_that_differ_least_are_joined_first():
    tree = data.joined([[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0], [1, 1, None, 1]])
    assert [(row["one"], row["other"]) for row in tree] == [(0, 3), (4, 1), (5, 2)]
    assert tree[0]["height"] == 0 and tree[1]["height"] == pytest.approx((1 / 4 + 1 / 3) / 2, abs=1e-3)
    assert data.joined([[1.0]]) == []


@pytest.mark.browser
def test_without_webgl_everything_but_the_maps_is_there(chromium, shown):  # noqa: F811
    tab = shown(chromium("--disable-3d-apis"), record(), means=maps())
    until(tab, "document.querySelector('#mapview').hidden")
    assert "WebGL" in tab.locator("#mapsays").inner_text()
    tab.locator("g.node[data-state='2']").click()
    assert tab.locator("#stateinfo").inner_text().startswith("State 2:")
    assert tab.troubles == []


@pytest.mark.browser
def test_the_chance_of_a_relation_is_told_where_it_is_known(chromium, shown):  # noqa: F811
    told = record()
    told["order"][0]["chance"] = 0.25
    tab = shown(chromium(), told)
    assert "by chance 0.25" in tab.locator("#pairsays").inner_text()
    assert tab.locator("#order tbody td").last.inner_text() == "0.25"
    assert tab.evaluate("occupyStates.tables('order')").splitlines()[1].endswith(",3,0.25")
    assert "by chance" not in page.render(record()).decode().split("<script>")[0]


@pytest.mark.browser
def test_enter_opens_the_report_of_a_volume(chromium, shown):  # noqa: F811
    tab = shown(chromium(), record(), {"vol_0.mrc": "./report_vol_0.html"})
    tab.select_option("#sortcolumns", "name")
    click_cell(tab, 0, 0)
    tab.locator("#heatover").press("Enter")
    tab.wait_for_url("**/report_vol_0.html")


@pytest.mark.browser
def test_colours_of_cells_are_those_of_the_report_and_the_undecided_are_hatched(chromium, shown):  # noqa: F811
    tab = shown(chromium(), record())
    tab.select_option("#columns", "states")
    tab.select_option("#sortrows", "name")
    pixels = tab.evaluate("(() => { const p = occupyStates.heat.picture; return [...p.getContext('2d').getImageData("
                          "0, 0, p.width, p.height).data]; })()")
    picture = np.array(pixels, np.uint8).reshape(16, 12, 4)[..., :3]
    assert (picture[:4, :4] == [0x4d, 0x6e, 0xdf]).all()  # full
    assert (picture[12:, 4:8] == [0xcc, 0x39, 0x20]).all()  # absent
    assert len(np.unique(picture[4:8, 8:].reshape(-1, 3), axis=0)) == 2  # undecided


@pytest.mark.browser
def test_downloads_hold_what_is_shown(chromium, shown):  # noqa: F811
    told = record(names=("A", "B", "C", "=cmd()"))
    told["states"][1]["particles"] = 1234.0
    tab = shown(chromium(), told)
    rows = tab.evaluate("occupyStates.tables('occupancies')").splitlines()
    assert rows[0] == "map,A,B,C,'=cmd()"
    found = np.array([[float(cell) for cell in row.split(",")[1:]] for row in rows[1:]])
    assert np.abs(found - told["occupancy"]["of_volumes"]).max() <= data.STEP / 2 + 1e-6
    assert tab.evaluate("occupyStates.tables('states')").splitlines()[:3] == [
        "state,volumes,particles,share,se", f"1,4,,{1 / 3!r},0.1", f"2,4,1234,{1 / 3!r},0.1"]
    assert tab.evaluate("occupyStates.tables('volumes')").splitlines()[2] == "vol_1.mrc,2"
    assert tab.evaluate("occupyStates.tables('graph')").splitlines() == [
        "from,to,adds,loses,undecided", "2,1,'=cmd(),,", "3,2,C,,"]
    for button, name in (("#heatsvg", "heat_map.svg"), ("#heatpng", "heat_map.png"),
                         ("#graphsave", "graph_of_states.svg"), ("#graphpng", "graph_of_states.png"),
                         ("button[data-csv=order]", "order.csv")):
        with tab.expect_download() as got:
            tab.locator(button).click()
        assert got.value.suggested_filename == name
        content = got.value.path().read_bytes()
        assert content.startswith(b"\x89PNG" if name.endswith("png") else b"<svg" if name.endswith("svg") else b"part")
    assert tab.troubles == []


@pytest.mark.browser
def test_names_run_no_scripts(chromium, shown):  # noqa: F811
    told = record(names=("A", "B", "C", HOSTILE))
    told["volumes"][0]["map"] = HOSTILE
    tab = shown(chromium(), told)
    tab.on("dialog", lambda dialog: tab.troubles.append(dialog.message))
    tab.select_option("#sortrows", "size")
    click_cell(tab, 0, 0)
    assert tab.locator("img").count() == 0 and HOSTILE in said(tab)
    tab.wait_for_timeout(100)
    assert tab.troubles == []


@pytest.mark.browser
def test_a_phone_is_not_scrolled_sideways_and_a_tap_chooses(chromium, shown):  # noqa: F811
    tab = shown(chromium(), record(), viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True,
                color_scheme="dark")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    x, y = tab.evaluate("(() => { const { frame, heat: { view } } = occupyStates;"
                        "return [frame.left + .5 * view.sx, frame.top + 2.5 * view.sy]; })()")
    before = said(tab)
    tab.locator("#heatover").tap(position={"x": x, "y": y})
    assert said(tab) != before
    assert tab.troubles == []


@pytest.mark.browser
def test_paper_is_light_and_has_the_table_unfolded(chromium, shown):  # noqa: F811
    tab = shown(chromium(), record(), means=maps(), color_scheme="dark")
    until(tab, "window.occupyStates.maps")
    assert not tab.locator("#calltable").is_visible()
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("#calltable").is_visible()
    assert tab.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--card').trim()") == "#ffffff"
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not tab.locator("#calltable").is_visible()
    assert tab.pdf().startswith(b"%PDF")
    tab.set_viewport_size({"width": 720, "height": 1000})
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.emulate_media(media="print")
    # the map is a picture on white paper
    assert tab.locator("#mapstill").is_visible() and not tab.locator("#mapstage").is_visible()
    assert not tab.locator("#matrix").is_visible()
    corner = tab.evaluate("(async () => { const still = document.querySelector('#mapstill'); await still.decode();"
                          "const c = document.createElement('canvas'); c.width = c.height = 1; const pen ="
                          "c.getContext('2d'); pen.drawImage(still, 0, 0);"
                          "return [...pen.getImageData(0, 0, 1, 1).data];"
                          "})()")
    assert corner == [255, 255, 255, 255]
    assert [button.is_visible() for button in tab.locator("#states th button").all()] == 3 * [True]
    assert not tab.locator("#fit").is_visible()
    assert tab.locator("#graphsvg").bounding_box()["width"] <= 720


@pytest.mark.browser
def test_a_thousand_volumes_are_ready_in_two_seconds_and_move_without_stutter(chromium, shown):  # noqa: F811
    tab = shown(chromium(), record(volumes=1000, names=[f"L{k}" for k in range(136)], states=12))
    assert tab.evaluate("occupyStates.time") < 2000
    frames = tab.evaluate("""async () => {
      const { heat } = occupyStates, over = document.querySelector("#heatover"), box = over.getBoundingClientRect();
      const times = [];
      over.focus();
      for (let k = 0; k < 40; k++) {
        const begin = performance.now(), place = { clientX: box.left + 100 + 10 * k, clientY: box.top + 100 + 5 * k };
        over.dispatchEvent(new PointerEvent("pointermove", place));
        over.dispatchEvent(new WheelEvent("wheel", { ...place, deltaY: k < 20 ? -60 : 60, cancelable: true }));
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        times.push((performance.now() - begin) / 2);
      }
      return times; }""")
    assert np.median(frames) <= 50


@pytest.mark.browser
def test_firefox_shows_the_same(tmp_path):
    """The same clicks and keys as in Chromium, by the mouse and the keyboard that Firefox believes in."""
    executable = shutil.which("firefox-esr") or shutil.which("firefox")
    if executable is None or shutil.which("xvfb-run") is None:
        pytest.skip("firefox-esr or xvfb-run is not installed: the page was NOT opened in Firefox")
    from tests.reports.marionette import Firefox

    told = record(names=("A", "B", "C", HOSTILE))
    (tmp_path / "report_vol_0.html").write_text("<title>report of volume 0</title>")
    (tmp_path / "states.html").write_bytes(page.render(told, {"vol_0.mrc": "./report_vol_0.html"}, maps()))
    browser = Firefox(executable)
    text = lambda selector: browser.evaluate(f"document.querySelector({selector!r}).textContent")  # noqa: E731

    def click(place):
        """On a place of the page, [x, y] in the window, as an expression."""
        x, y = browser.evaluate(place)
        browser.pointer(("move", round(x), round(y)), ("down",), ("up",))

    centred = "e.scrollIntoView({ block: 'center', behavior: 'instant' }); const b = e.getBoundingClientRect();"

    def middle(selector):
        return (f"(() => {{ const e = document.querySelector({selector!r}); {centred}"
                "return [b.left + b.width / 2, b.top + b.height / 2]; })()")

    def select(selector, value):
        browser.evaluate(f"(() => {{ const e = document.querySelector({selector!r}); e.value = {value!r}; "
                         "e.dispatchEvent(new Event('change')); return true; })()")

    def cell(row, column):
        return ("(() => { const { frame, heat: { view } } = occupyStates, e = document.querySelector('#heatover');"
                f"{centred} return [b.left + frame.left + ({column} + .5 - view.x) * view.sx,"
                f"b.top + frame.top + ({row} + .5 - view.y) * view.sy]; }})()")

    try:
        browser.open(tmp_path / "states.html")
        browser.wait_for("window.occupyStates && window.occupyStates.ready && occupyStates.maps")
        select("#sortrows", "size")
        select("#sortcolumns", "name")
        assert browser.evaluate("occupyStates.heat.rows") == [3, 2, 1, 0]
        click(cell(0, 1))  # the fourth part in the second volume
        assert text("#chosen").startswith(f"{HOSTILE} in vol_1.mrc, state 2") and "absent" in text("#chosen")
        browser.wait_for("occupyStates.maps.showing.part === 3 && occupyStates.maps.view.state.map === 'state1'")
        assert browser.evaluate("document.querySelectorAll('img:not(#mapstill)').length") == 0
        # the name of a row chooses its part alone
        click(cell(1, 12.3))
        assert text("#chosen").startswith("C in vol_1.mrc")
        browser.keys("\ue012")  # arrow left
        assert text("#chosen").startswith("C in vol_0.mrc") and "Open its report" in text("#chosen")
        browser.keys("+")
        assert browser.evaluate("occupyStates.heat.view.sx > 60")
        browser.keys("0")
        click(middle("tr[data-state='3'] td"))
        assert text("#stateinfo").startswith("State 3:")
        browser.wait_for("occupyStates.maps.view.state.map === 'state2'")
        click(middle("g.node[data-state='2'] > circle"))
        assert text("#stateinfo").startswith("State 2:")
        select("#mapcolour", "parts")
        browser.wait_for("occupyStates.maps.view.state.colour === 'layer0'")
        before = browser.evaluate("occupyStates.maps.view.camera.turn.join()")
        browser.evaluate("document.querySelector('#mapstage canvas').focus()")
        browser.keys("\ue014")
        assert browser.evaluate("occupyStates.maps.view.camera.turn.join()") != before
        # paper
        browser.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert browser.evaluate("document.querySelector('#calltable').checkVisibility()")
        browser.evaluate("dispatchEvent(new Event('afterprint'))")
        assert not browser.evaluate("document.querySelector('#calltable').checkVisibility()")
        assert browser.evaluate("document.querySelectorAll('#strip path').length") > 4
        assert browser.evaluate("occupyStates.heatSvg()").startswith("<svg")
        # a phone
        browser.call("WebDriver:SetWindowRect", {"width": 450, "height": 800})
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
        browser.call("WebDriver:SetWindowRect", {"width": 1366, "height": 1000})
        browser.evaluate("document.querySelector('#heatover').focus()")
        browser.evaluate("Object.assign(occupyStates.heat.at, { row: 0, column: 0 })")
        browser.keys("\ue007")  # Enter opens the report of the volume
        browser.wait_for("document.title === 'report of volume 0'")
    finally:
        browser.close()
