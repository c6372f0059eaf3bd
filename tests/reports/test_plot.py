"""Pictures: made without a display, readable as PNG, and showing what they were given."""

import builtins
import io
import pathlib
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest

from occupy_jit.errors import UsageError
from occupy_jit.estimation.comparison.parts import ClassParts, PartDifference
from occupy_jit.reports import colours, part_charts, plot

ROOT = pathlib.Path(__file__).resolve().parents[2]

matplotlib = pytest.importorskip("matplotlib", reason="the pictures need the extra occupy_jit[plot]")


def model(**changes):
    """What a run hands over, for a solvent of mean 0.1 and sigma 1 and some content."""
    edges = np.linspace(-5, 15, 1001)
    centres = (edges[1:] + edges[:-1]) / 2
    peak = 1e4 * np.exp(-0.5 * (centres - 0.1) ** 2)
    counts = np.round(peak + 50 * ((centres > 0) & (centres < 12))).astype(np.int64)
    arguments = dict(name="map", bin_edges=edges, counts=counts, gaussian=(1e4, 0.1, 1.0), edge=4.4, zero=0.1,
                     floor=1.7, full_scale=9.0, confidence_centres=centres,
                     confidence_values=np.clip((centres - 2) / 3, 0, 1), verdicts=["All is well."], version="1.2.3")
    return {**arguments, **changes}


def drawn(**changes):
    target = io.BytesIO()
    plot.solvent_model_png(target, **model(**changes))
    return target.getvalue()


def chunks(png):
    """(kind, content) of a PNG's parts, with their checksums verified: a reader of its own."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    position, found = 8, []
    while position < len(png):
        length, kind = struct.unpack(">I4s", png[position:position + 8])
        content = png[position + 8:position + 8 + length]
        assert struct.unpack(">I", png[position + 8 + length:position + 12 + length])[0] == zlib.crc32(kind + content)
        found.append((kind, content))
        position += 12 + length
    assert found[0][0] == b"IHDR" and found[-1][0] == b"IEND"
    return found


def pixels(png):
    from matplotlib.image import imread

    return imread(io.BytesIO(png))[..., :3]


def figure_of(monkeypatch, function, *arguments, **keywords):
    """The figure that a function draws, caught where it would be written."""
    caught = []
    monkeypatch.setattr(plot, "_write", lambda figure, target, version: caught.append(figure))
    function(*arguments, **keywords)
    return caught[0]


def test_the_picture_is_a_png_and_the_same_every_time():
    png = drawn()
    parts = chunks(png)
    width, height = struct.unpack(">II", parts[0][1][:8])
    assert width >= 800 and height >= 500
    assert any(kind == b"tEXt" and b"occupy_jit 1.2.3" in content for kind, content in parts)
    assert png == drawn()
    assert pixels(png).std() > 0.05  # not a blank page


def test_all_is_drawn_where_it_was_found(monkeypatch):
    figure = figure_of(monkeypatch, plot.solvent_model_png, None, **model())
    axes, second = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    for label, value in (("zero level", 0.1), ("noise floor", 1.7), ("full scale", 9.0), ("end of solvent", 4.4)):
        line, = (line for key, line in lines.items() if key.startswith(label))
        # the number is that of the log: noise floor and full scale are above the zero level
        told = value - 0.1 if "zero +" in line.get_label() else value
        assert set(line.get_xdata()) == {value} and line.get_label().endswith(f" {told:g}")
    assert sum("zero +" in key for key in lines) == 2
    # the model is drawn in the units of the (joined) bins: at its peak it meets the histogram
    x, y = lines["solvent model"].get_data()
    stairs = axes.patches[0].get_data()
    assert stairs.values.sum() == model()["counts"].sum()
    near = np.argmin(np.abs((stairs.edges[1:] + stairs.edges[:-1]) / 2 - 0.1))
    assert y.max() == pytest.approx(stairs.values[near], rel=0.02)  # one joined bin is 0.06 sigma wide
    assert x[np.argmax(y)] == pytest.approx(0.1, abs=0.05)
    assert axes.get_yscale() == "log"
    low, high = axes.get_xlim()
    assert low <= -5 and high >= 15
    confidence, = second.get_lines()
    assert np.array_equal(confidence.get_ydata(), model()["confidence_values"])
    texts = " ".join(text.get_text() for text in figure.texts)
    assert "All is well." in texts and "map" in texts and "1.2.3" in texts
    legend = {text.get_text() for text in axes.get_legend().get_texts()}
    assert {"low-passed map", "solvent model", "zero level 0.1", "full scale: zero + 8.9", "confidence"} <= legend


@pytest.mark.slow
@pytest.mark.parametrize("changes", [
    dict(gaussian=None, edge=None, floor=float("nan"), confidence_centres=[], confidence_values=[], verdicts=[]),
    dict(gaussian=(float("nan"),) * 3), dict(counts=np.zeros(1000, int)), dict(confidence_values=np.full(1000, np.nan)),
    dict(bin_edges=np.array([0.0, 1e-12]), counts=np.array([5])), dict(full_scale=1e6), dict(gaussian=(1e4, 0.1, 0.0)),
    dict(verdicts=["long " * 100, "$", ""]), dict(name="$a_{b}$ 映像 \udcff\n"), dict(gaussian=(1e4, 90.0, 1.0)),
    dict(name=r"$\bad{$", verdicts=[r"$\frac$"]),
    dict(bin_edges=[2.0, 2.0], counts=[5], gaussian=None, edge=None, zero=2.0, floor=None, full_scale=None),
], ids=["nothing", "nan model", "empty", "nan confidence", "constant", "far", "flat", "words", "name", "outside",
        "formula", "one value"])
def test_odd_input_is_drawn_without_a_warning(changes):
    chunks(drawn(**changes))


BANDS = {"frequency": np.linspace(0, 0.5, 21), "signal": np.linspace(100, -10, 21), "noise": np.full(21, 0.5),
         "edges": np.linspace(0, 0.5, 9), "factors": {"0.1": [10] * 4 + [1] * 4, "0.4": [2.5] * 4 + [1] * 4}}


def test_bands_get_a_panel_of_their_own(monkeypatch):
    without = figure_of(monkeypatch, plot.solvent_model_png, None, **model())
    figure = figure_of(monkeypatch, plot.solvent_model_png, None, **model(bands=BANDS))
    assert len(without.axes) == 2 and len(figure.axes) == 4
    spectra, factors = figure.axes[2:]
    drawn_signal = spectra.get_lines()[0].get_xydata()
    there = (BANDS["signal"] > 0) & (BANDS["frequency"] > 0)
    assert np.array_equal(drawn_signal, np.column_stack([BANDS["frequency"][there], BANDS["signal"][there]]))
    assert [list(patch.get_data().values) for patch in factors.patches] == list(BANDS["factors"].values())
    # the first panel is where and as large as it was
    sizes = [one.axes[0].get_position().height * one.get_figheight() for one in (without, figure)]
    assert sizes[0] == pytest.approx(sizes[1])
    assert drawn(bands=BANDS) == drawn(bands=BANDS)


def test_long_verdicts_keep_the_axes_size(monkeypatch):
    heights = []
    for words in (1, 120):
        with monkeypatch.context() as patch:
            figure = figure_of(patch, plot.solvent_model_png, None, **model(verdicts=["word " * words]))
        heights.append(figure.axes[0].get_position().height * figure.get_figheight())
        for text in figure.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    assert heights[0] == pytest.approx(heights[1])


def test_slices_have_the_colours_of_the_report_and_fade(monkeypatch):
    section = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)
    seen = np.linspace(0, 1, 35).reshape(5, 7)[::-1]
    panels = [plot.Panel("a", section, colours.GREY, 0.2, 0.8, mark=0.5),
              plot.Panel("b", section, colours.scale_on_white(), 0, 1, seen),
              plot.Panel("c", section, colours.zero_on_white(colours.B_FACTOR), -50, 150)]
    with monkeypatch.context() as patch:
        figure = figure_of(patch, plot.slices_png, None, panels, caption="What fades.")
    images = [axes.get_images()[0] for axes in figure.axes if axes.get_images()]
    assert [image.get_clim() for image in images] == [(0.2, 0.8), (0, 1), (-50, 150)]
    assert all(np.array_equal(image.get_array(), section) for image in images)
    assert np.array_equal(images[1].get_alpha(), seen) and images[0].get_alpha() is None
    for image, stops in zip(images, (colours.GREY, colours.scale_on_white(), colours.zero_on_white(colours.B_FACTOR)),
                            strict=True):
        values = np.linspace(0, 1, 50)
        wanted = colours.ramp(stops, values)
        # one of 256 colours, of which the next may differ by as much as the steepest part of the ramp has it
        steepest = np.abs(np.diff(colours.ramp(stops, np.linspace(0, 1, 256)), axis=0)).max()
        assert np.abs(255 * image.get_cmap()(values)[:, :3] - wanted).max() <= steepest + 0.5
    assert figure.get_supxlabel() == "What fades."
    assert "line: surface level 0.5" in [axes.get_xlabel() for axes in figure.axes]


@pytest.mark.parametrize("count", [1, 5, 12])
def test_slices_are_written(count, tmp_path):
    section = np.zeros((3, 3), np.float32)
    plot.slices_png(tmp_path / "s.png", [plot.Panel("x", section, colours.GREY, 0, 1)] * count)
    width, height = struct.unpack(">II", chunks((tmp_path / "s.png").read_bytes())[0][1][:8])
    assert width <= 1600 and height <= 2000


def test_without_matplotlib_the_package_is_named(monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **keywords):
        if name.startswith("matplotlib"):
            raise ImportError("No module named 'matplotlib'")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UsageError, match=re.escape(f"{sys.executable} -m pip install matplotlib")) as caught:
        plot.solvent_model_png(io.BytesIO(), **model())
    assert str(caught.value).count("\n") == 0
    with pytest.raises(UsageError):
        plot.slices_png(io.BytesIO(), [])


def test_importing_costs_nothing_and_pyplot_is_never_touched():
    script = ("import sys, io\nfrom occupy_jit.reports import plot\nassert 'matplotlib' not in sys.modules\n"
              "assert 'numpy' not in sys.modules\n"
              "import numpy as np\n"
              "plot.slices_png(io.BytesIO(), [plot.Panel('a', np.ones((2, 2)), ((0, '#000000'),), 0, 1)])\n"
              "assert 'matplotlib.pyplot' not in sys.modules\n")
    environment = {"PATH": "/nowhere", "MPLBACKEND": "tkagg"}  # a display is never asked for
    done = subprocess.run([sys.executable, "-c", script], env={**environment, "PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def chart_of(monkeypatch, function, *arguments):
    """A chart as a figure, and as the size of its picture in pixels."""
    drawn, target = [], io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(part_charts, "_write", lambda figure, target, version: drawn.append(figure))
        function(io.BytesIO(), *arguments, name="a map", version="1")
    function(target, *arguments, name="a map", version="1")
    return drawn[0], struct.unpack(">II", chunks(target.getvalue())[0][1][:8])


def texts_lie_apart(figure):
    """No name of a row covers another, or leaves the picture; all are at least eleven pixels tall."""
    figure.canvas.draw()
    for axes in figure.axes:
        boxes = [tick.get_window_extent() for tick in axes.get_yticklabels()]
        assert all(box.x0 >= 0 and box.height >= 11 for box in boxes)
        boxes.sort(key=lambda box: box.y0)
        assert all(low.y1 <= high.y0 + 1.5 for low, high in zip(boxes, boxes[1:], strict=False))


@pytest.mark.parametrize("number", [1, 3, 40, 136, pytest.param(700, marks=pytest.mark.slow)])
def test_every_part_has_a_bar_with_its_error(number, monkeypatch):
    rows = [{"part": f"=chain {i}\n$x^", "atoms": 100 * (i != 1), "occupancy": 1.2 - 0.001 * i, "se": 0.05 + 1e-4 * i,
             "full": i == 0, "scale_from_map": None if i == 2 else 0.5} for i in range(number)]
    figure, (width, height) = chart_of(monkeypatch, part_charts.bar_chart, rows)
    assert width <= 1600 and height <= 2000
    there = [row for row in rows if row["atoms"]]
    bars, ends, names = [], [], []
    for axes in figure.axes:
        bars += [bar.get_width() for bar in sorted(axes.patches, key=lambda bar: bar.get_y())]
        ends += [tuple(line[:, 0]) for lines in axes.collections for line in lines.get_segments()]
        names += [tick.get_text() for tick in axes.get_yticklabels()]
        low, high = axes.get_xlim()
        assert low < 0 and high > 1.25  # bars beyond 1 with their errors
    shown = there[:len(bars)]
    assert len(shown) == (len(there) if number < 700 else 4 * 109)
    assert np.allclose(bars, [row["occupancy"] for row in shown])
    assert np.allclose(sorted(ends), sorted((r["occupancy"] - r["se"], r["occupancy"] + r["se"]) for r in shown))
    assert len(names) == len(shown) and not any("\n" in name for name in names)
    said = " ".join(text.get_text() for text in figure.texts)
    assert (f"the first {len(shown)} of 699" in said) == (number == 700)
    texts_lie_apart(figure)


@pytest.mark.parametrize("classes, parts", [
    (2, 3), (8, 136), *(pytest.param(*size, marks=pytest.mark.slow) for size in ((4, 136), (30, 136), (60, 500)))])
def test_every_part_of_every_class_is_shown_and_those_that_differ_first(classes, parts, monkeypatch):
    occupancy = np.random.default_rng(1).uniform(0, 1.1, (classes, parts))
    names = [f"part {k}" for k in range(parts)]
    differ = PartDifference(names[-1], "class 1", "class 2", 0.9, 0.4, 0.5, 0.05, 1e-9, 1e-6, True)
    found = ClassParts([f"class {c + 1}" for c in range(classes)], names, np.full(parts, 100), occupancy,
                       np.full_like(occupancy, 0.04), *(np.zeros_like(occupancy) for _ in range(3)),
                       np.zeros(parts, bool), [differ])
    assert [row.part for row in found.significant] == [names[-1]]
    figure, (width, height) = chart_of(monkeypatch, part_charts.class_chart, found)
    assert width <= 1600 and height <= 2000
    labels = [tick for axes in figure.axes for tick in axes.get_yticklabels()]
    shown = [tick.get_text() for tick in labels]
    assert len(shown) == parts or parts == 500 and len(shown) > 100
    assert shown[-1] == names[-1] and [t.get_text() for t in labels if t.get_fontweight() == "bold"] == [names[-1]]
    number = [int(name.split()[1]) for name in shown]
    if classes <= 6:
        values = np.concatenate([[lines[0].get_xdata() for lines in axes.containers] for axes in figure.axes], axis=1)
    else:
        values = np.concatenate([axes.get_images()[0].get_array() for axes in figure.axes]).T
    assert np.allclose(values, occupancy[:, number])
    texts_lie_apart(figure)


def test_cells_have_their_numbers_and_unknown_ones_none(monkeypatch):
    figure, axes = part_charts.columns_of(part_charts.table_laid_out(2, ["a", "b", "c"], 4)[0], 2)
    part_charts.table(axes[0][0], [[0.1, 0.5, np.nan], [1.2, 0.0, 1.0]], ["a", "b", "c"])
    assert [text.get_text() for text in axes[0][0].texts] == ["0.10", "0.50", "1.20", "0.00", "1.00"]
