"""Make the pictures of the documentation.

    python docs/figures.py                      from the example data; needs the extras model, plot and star
    python docs/figures.py parts states         only these
    python docs/figures.py states_page          man/states.png, for README; needs playwright and Chromium, too
    python docs/figures.py --maps FOLDER        from maps and models of the EMDB and the PDB in a folder, see PUBLIC;
                                                needs playwright and Chromium, too
    python docs/figures.py --maps FOLDER report

Each picture shows what the command beside it on the page writes.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from example_data import CLASSES, make  # noqa: E402

import occupy_jit  # noqa: E402
from occupy_jit.reports import colours as of_report  # noqa: E402
from occupy_jit.reports.content import section_of  # noqa: E402
from occupy_jit.reports.plot import colour_map  # noqa: E402

PICTURES = os.path.join(HERE, "pictures")
BLUE, RED, GREY = "#3a6fd8", "#cc3920", "#888888"
RADIUS = 3.0  # voxels, of the ball at the voxels of the example data
SCALE = colour_map(of_report.scale_on_white())
OCCUPANCY = colour_map(of_report.SCALE)
CONFIDENCE = colour_map(of_report.share_on_white(of_report.CONFIDENCE))


def occupy(folder, *arguments):
    """Run the command in a folder."""
    path = os.pathsep.join(filter(None, [os.path.dirname(HERE), os.environ.get("PYTHONPATH")]))
    subprocess.run([sys.executable, "-m", "occupy_jit", *arguments, "--quiet"], cwd=folder, check=True,
                   env={**os.environ, "PYTHONPATH": path})


def figure(width, height):
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def save(made, name):
    """Write a picture without the date, so that the same data give the same bytes."""
    os.makedirs(PICTURES, exist_ok=True)
    made.savefig(os.path.join(PICTURES, name), dpi=110, metadata={"Software": None})


def read(*parts):
    return occupy_jit.read_map(os.path.join(*parts)).data


def table(*parts):
    with open(os.path.join(*parts), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def panels(volumes, name, cuts):
    """Slices side by side: (title, volume, colours, lowest, highest)."""
    made = figure(2.5 * len(volumes), 2.8)
    for axes, (title, volume, colours, low, high) in zip(made.subplots(1, len(volumes)), volumes, strict=True):
        shown = axes.imshow(volume[cuts], cmap=colours, vmin=low, vmax=high, origin="lower", interpolation="nearest")
        axes.set_title(title, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
        if not isinstance(colours, str):
            made.colorbar(shown, ax=axes, shrink=0.75)
    save(made, name)


def slices(folder):
    """The map, and what is found of it, in the plane of A and B."""
    occupy(folder, "-i", "map.mrc", "--amplify", "--save-all-maps")
    data, scale = read(folder, "map.mrc"), read(folder, "scale_map.mrc")
    low, confidence = read(folder, "lowpass_map.mrc"), read(folder, "conf_map.mrc")
    after = read(folder, "out_map.mrc")
    largest = float(np.percentile(data, 99.9))
    at = int(round(data.shape[0] / 2 - 7.5 / 1.5))
    other = int(round(data.shape[0] / 2 + 7.5 / 1.5))
    maximum = occupy_jit.kernels.sliding_maximum(low, radius=RADIUS)
    top = float(np.percentile(maximum, 99.9))
    panels([("map", data, "gray", -largest / 3, largest), ("low-passed", low, "gray", -top / 3, top),
            ("sliding maximum", maximum, "gray", 0, top), ("scale", scale, SCALE, 0, 1),
            ("confidence", confidence, CONFIDENCE, 0, 1)], "method.png", at)
    made = figure(7.5, 5.2)
    for row, (where, names) in zip(made.subplots(2, 3), ((at, "A, B"), (other, "C, D")), strict=True):
        for axes, (title, volume, colours, lowest, highest) in zip(row, (
                (f"map, {names}", data, "gray", -largest / 3, largest), (f"scale, {names}", scale, SCALE, 0, 1),
                (f"equalised, {names}", after, "gray", -largest / 3, largest)), strict=True):
            section, seen = volume[where], None
            if volume is scale:  # as slices_map.png shows it
                section, seen = section_of(scale, confidence, where, RADIUS)
            axes.imshow(section, alpha=seen, cmap=colours, vmin=lowest, vmax=highest, origin="lower",
                        interpolation="nearest")
            axes.set_title(title, fontsize=10)
            axes.set_xticks([])
            axes.set_yticks([])
            if volume is scale:
                made.colorbar(ScalarMappable(cmap=SCALE), ax=axes, shrink=0.8)
    save(made, "slices.png")


def parts(folder):
    """Occupancy of each chain with its error, and the truth."""
    from example_data import OCCUPANCY

    occupy(folder, "-i", "map.mrc", "--model", "model.cif", "--output-dir", "parts")
    rows = table(folder, "parts", "parts_map.csv")
    made = figure(5, 2.6)
    axes = made.subplots()
    names = [row["part"] for row in rows]
    axes.bar(names, [float(row["occupancy"]) for row in rows], yerr=[float(row["se"]) for row in rows], color=BLUE,
             capsize=4, label="found, with its standard error")
    axes.scatter(names, [OCCUPANCY[name] for name in names], color=RED, marker="_", s=900, zorder=3, label="simulated")
    axes.set_ylabel("occupancy")
    axes.set_ylim(0, 1.2)
    axes.legend(fontsize=8, loc="upper center", ncols=2, markerscale=0.4)
    save(made, "parts.png")


def classes(folder):
    """Occupancy of each chain in each class."""
    occupy(folder, "--relion-classes", "Class3D/job010/run_it005_model.star", "--model", "model.cif", "--output-dir",
           "classes")
    rows = table(folder, "classes", "classparts_run_it005.csv")
    made = figure(6, 2.8)
    axes = made.subplots()
    kinds = sorted({row["class"] for row in rows})
    names = sorted(CLASSES[0])
    for number, kind in enumerate(kinds):
        mine = {row["part"]: row for row in rows if row["class"] == kind}
        axes.bar(np.arange(len(names)) + 0.27 * (number - 1), [float(mine[name]["occupancy"]) for name in names], 0.25,
                 yerr=[float(mine[name]["se"]) for name in names], capsize=3, label=f"class {number + 1}",
                 color=(BLUE, RED, GREY)[number])
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("occupancy")
    axes.set_ylim(0, 1.3)
    axes.legend(fontsize=8, ncols=3, loc="upper center")
    save(made, "classes.png")


def states(folder):
    """Occupancy of each part in each volume, ordered by state."""
    occupy(folder, "-i", "volumes", "--model", "model.cif", "--states", "--output-dir", "states")
    state = {row["map"]: int(row["state"]) for row in table(folder, "states", "states_volumes.csv")}
    rows = sorted(table(folder, "states", "occupancies.csv"), key=lambda row: (state[row["map"]], row["map"]))
    names = [name for name in rows[0] if name != "map"]
    made = figure(7, 2.4)
    axes = made.subplots()
    shown = axes.imshow([[float(row[name]) for row in rows] for name in names], cmap=OCCUPANCY, vmin=0, vmax=1,
                        aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(names)), names)
    numbers = [state[row["map"]] for row in rows]
    for kind in sorted(set(numbers)):
        first, count = numbers.index(kind), numbers.count(kind)
        axes.text(first + count / 2 - 0.5, -0.75, f"state {kind}", ha="center", fontsize=9)
        if first:
            axes.axvline(first - 0.5, color="black")
    axes.set_xticks([])
    axes.set_xlabel("volumes")
    made.colorbar(shown, ax=axes, label="occupancy")
    save(made, "states.png")


def states_page(folder):
    """The first screen of the page of states, for README."""
    occupy(folder, "-i", "volumes", "--model", "model.cif", "--states", "--report", "--output-dir", "page")
    page = os.path.join(folder, "page", "states.html")
    screenshot(page, os.path.join(os.path.dirname(HERE), "man", "states.png"), height=1560)


# Files in the folder of --maps: name here -> what it is. EMDB and PDB data are CC0.
PUBLIC = {"emd_11007.map": "EMD-11007", "emd_3488.mrc": "EMD-3488, the central 100 voxels",
          "5ni1.cif": "5NI1 of the PDB"}


def screenshot(page, place, selector=None, width=1280, height=1000):
    """Save a picture of a page, or of the first element that a selector finds, as Chromium shows it."""
    from playwright.sync_api import sync_playwright

    os.makedirs(os.path.dirname(place), exist_ok=True)
    with sync_playwright() as play:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--enable-unsafe-swiftshader"])
        shown = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
        shown.goto(f"file://{os.path.abspath(page)}")
        shown.wait_for_timeout(2000)  # for the surface
        (shown.locator(selector).first if selector else shown).screenshot(path=place)
        browser.close()


def equalised(folder):
    """A real map before and after."""
    occupy(folder, "-i", "emd_11007.map", "--amplify", "--save-all-maps", "--output-dir", "equalised")
    data, scale = read(folder, "emd_11007.map"), read(folder, "equalised", "scale_emd_11007.mrc")
    after, confidence = (read(folder, "equalised", name) for name in ("out_emd_11007.map", "conf_emd_11007.mrc"))
    # the plane with most density, and of it what is not empty
    at = int(np.argmax((data > 4 * data.std()).sum(axis=(1, 2))))
    inside = np.argwhere(data[at] > 3 * data.std())
    (top, left), (bottom, right) = np.percentile(inside, (1, 99), axis=0).astype(int)
    cut = (at, slice(max(top - 8, 0), bottom + 8), slice(max(left - 8, 0), right + 8))
    largest = float(np.percentile(data[cut], 99.7))
    shown = np.zeros_like(scale)
    section, seen = section_of(scale, confidence, at, RADIUS)
    shown[at] = np.where(seen > 0, section, 0)
    panels([("EMD-11007", data, "gray", -largest / 4, largest), ("local scale", shown, SCALE, 0, 1),
            ("equalised", after, "gray", -largest / 4, largest)], "equalised.png", cut)


def haemoglobin(folder):
    """Chains and haems of a real map."""
    occupy(folder, "-i", "emd_3488.mrc", "--model", "5ni1.cif", "--report", "--plot", "--output-dir", "haemoglobin")
    shutil.copy(os.path.join(folder, "haemoglobin", "parts_emd_3488.png"), os.path.join(PICTURES, "haemoglobin.png"))
    page = os.path.join(folder, "haemoglobin", "report_emd_3488.html")
    screenshot(page, os.path.join(PICTURES, "haems.png"), "#ligands", width=1060)


def report(folder):
    """The first screen of a report, for README."""
    occupy(folder, "-i", "emd_11007.map", "--amplify", "--report", "--output-dir", "report")
    page = os.path.join(folder, "report", "report_emd_11007.html")
    screenshot(page, os.path.join(os.path.dirname(HERE), "man", "report.png"))


def main():
    """Make all groups of pictures, or those of these names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--maps", metavar="FOLDER", help=f"a folder with {', '.join(PUBLIC)}")
    arguments = parser.parse_args()
    made = (equalised, haemoglobin, report) if arguments.maps else (slices, parts, classes, states, states_page)
    groups = {one.__name__: one for one in made}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.maps:
            for name in PUBLIC:
                os.symlink(os.path.abspath(os.path.join(arguments.maps, name)), os.path.join(folder, name))
        else:
            make(folder)
        for name in arguments.names or [name for name in groups if name != "states_page"]:
            groups[name](folder)


if __name__ == "__main__":
    main()
