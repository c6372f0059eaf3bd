"""Pictures of states: every part, volume and state in its place, whatever their number, and no picture too large."""

import io
import struct

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib", reason="the pictures need the extra occupy_jit[plot]")

from occupy_jit.reports import states_charts  # noqa: E402
from tests.reports.states_sample import record  # noqa: E402
from tests.reports.test_plot import chunks  # noqa: E402

MANY = dict(volumes=1900, names=tuple(f"chain {k}" for k in range(136)), states=12)


def drawn(monkeypatch, function, told):
    """The figure, and the size of its picture in pixels; the same record gives the same bytes."""
    figures, targets = [], [io.BytesIO(), io.BytesIO()]
    with monkeypatch.context() as patch:
        patch.setattr(states_charts, "_write", lambda figure, target, version: figures.append(figure))
        function(io.BytesIO(), told, version="1")
    for target in targets:
        function(target, told, version="1")
    assert targets[0].getvalue() == targets[1].getvalue()
    size = struct.unpack(">II", chunks(targets[0].getvalue())[0][1][:8])
    assert size[0] <= 1600 and size[1] <= 2000
    figures[0].canvas.draw()
    inside_and_apart(figures[0], figures[0].texts)
    return figures[0], size


def inside_and_apart(figure, texts):
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1 for box in boxes)
    for k, one in enumerate(boxes):
        for other in boxes[k + 1:]:
            across = min(one.x1, other.x1) - max(one.x0, other.x0)
            up = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert across <= 1.5 or up <= 1.5, "texts cover each other"


@pytest.mark.parametrize("size", [{}, {"states": 1}, {"volumes": 60, "states": 4},
                                  pytest.param(MANY, marks=pytest.mark.slow)])
def test_a_heat_map_has_every_part_in_every_volume_and_state(size, monkeypatch):
    told = record(**size)
    told["occupancy"]["of_volumes"][0][1] = None  # not known
    figure, _ = drawn(monkeypatch, states_charts.heat_map, told)
    volumes, states = figure.axes[:2]
    shown = volumes.get_images()[0].get_array()
    order = np.argsort([volume["state"] for volume in told["volumes"]], kind="stable")
    wanted = np.array(told["occupancy"]["of_volumes"], float)[order].T
    if shown.shape == wanted.shape:
        assert np.array_equal(shown.filled(np.nan), wanted, equal_nan=True)
    else:  # volumes share pixels: means of those of a state, within what noise makes of them
        assert size is MANY and shown.shape[0] == 136 and shown.shape[1] > 800
        assert np.allclose(shown[:, [0, -1]], wanted[:, [0, -1]], atol=0.12)
    assert np.array_equal(states.get_images()[0].get_array(), np.array(told["occupancy"]["of_states"]).T)
    names = [tick.get_text() for tick in volumes.get_yticklabels()]
    assert names == [part["part"] for part in told["parts"]]
    if len(order) <= 60:
        assert [tick.get_text() for tick in volumes.get_xticklabels()] == [told["volumes"][k]["map"] for k in order]
    assert [tick.get_text() for tick in states.get_xticklabels()] == [str(s["state"]) for s in told["states"]]
    frames = [(round(f.get_x() + 0.46), round(f.get_y() + 0.46)) for f in states.patches]
    assert frames == [(len(told["states"]) - 1, 1)]  # the one undecided part
    inside_and_apart(figure, volumes.get_yticklabels())
    inside_and_apart(figure, volumes.get_xticklabels())


def test_volumes_of_a_continuum_are_in_its_order(monkeypatch):
    told = record(volumes=9)
    place = np.random.default_rng(0).permutation(9)
    told |= {"kind": "continuous", "continuum": {"directions": 1, "coordinates": [[float(p)] for p in place]}}
    figure, _ = drawn(monkeypatch, states_charts.heat_map, told)
    names = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert names == [f"vol_{k}.mrc" for k in np.argsort(place)]
    assert not states_charts.has_graph(told) and not states_charts.has_graph(record(states=1))


def branched(states, parts):
    """States that each hold other parts, with every possible step."""
    names = [f"part {k}" for k in range(parts)]
    told = record(volumes=3 * states, names=[*names, *map(str, range(states))], states=states)
    held = [set(names[: 1 + s // 3]) | {names[-1 - s % 3]} for s in range(states)]
    for row, has in zip(told["states"], held, strict=True):
        row |= {"present": sorted(has), "absent": sorted(set(names) - has), "undecided": []}
    told["graph"] = [{"from": a + 1, "to": b + 1, "adds": sorted(held[b] - held[a]), "loses": sorted(held[a] - held[b]),
                      "undecided": []} for a in range(states) for b in range(states)
                     if len(held[a]) < len(held[b]) and len(held[a] - held[b]) < 2]
    return told


@pytest.mark.parametrize("told", [record(), record(**MANY), branched(6, 9),
                                  pytest.param(branched(30, 20), marks=pytest.mark.slow)],
                         ids=["chain", "long chain", "branches", "many branches"])
def test_a_graph_has_every_state_and_every_step(told, monkeypatch):
    from matplotlib.patches import Circle, FancyArrowPatch

    assert states_charts.has_graph(told)
    figure, (width, height) = drawn(monkeypatch, states_charts.graph, told)
    axes = figure.axes[0]
    states = [patch for patch in axes.patches if isinstance(patch, Circle)]
    assert len(states) == len(told["states"])
    assert sum(isinstance(patch, FancyArrowPatch) for patch in axes.patches) == len(told["graph"])
    # states lie inside and apart, those with more parts further on the right
    places = np.array([state.center for state in states])
    radii = np.array([state.radius for state in states])
    assert (places - radii[:, None] >= 0).all() and (places + radii[:, None] <= (width, height)).all()
    apart = np.linalg.norm(places[:, None] - places, axis=-1) + np.eye(len(places)) * 1e9
    assert (apart > radii[:, None] + radii).all()
    present = np.array([len(row["present"]) for row in told["states"]])
    for count in range(present.max()):
        assert not ((present == count).any() and places[present <= count, 0].max()
                    > places[present > count, 0].min())
    # area is the share
    share = np.array([row["share"] for row in told["states"]])
    assert np.allclose(radii ** 2 / radii.max() ** 2, share / share.max(), atol=0.25)
    inside_and_apart(figure, axes.texts)
    shown = [text.get_text() for text in axes.texts]
    said = any("states_graph.csv" in text.get_text() for text in figure.texts)
    assert said or sum(text.startswith(("+ ", "− ")) for text in shown) == len(told["graph"])
    assert all(str(row["state"]) in shown for row in told["states"])
    if len(told["states"]) == 3:
        assert "+ C" in shown and "+ D" in shown
