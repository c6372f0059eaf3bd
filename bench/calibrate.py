"""``python -m bench.calibrate``: calibration of the constants of confidence and verdicts.

Prints the range for the limit of each verdict, and the overlap of confidence with content for values around the current
constants, from simulated maps of the tests. It changes nothing.
"""

import argparse
import itertools
from unittest import mock

import numpy as np

from occupy_jit.estimation.scale import confidence, facts
from occupy_jit.estimation.scale.estimate import estimate
from tests import simulated

LEVELS = (1.5, 3.0, 6.0)
"""Signal to noise of the simulated maps."""

CONTENT_ANGSTROM = 3.0
"""Largest distance of content from an atom."""

CONFIDENCE = {"CAP": (2.0, 3.0, 4.0, 6.0, 8.0), "SMOOTHING_ANGSTROM": (3.0, 4.0, 4.5, 5.0, 6.0),
              "RAMP": ((1.0, 2.0), (1.5, 2.5), (2.0, 3.0), (2.5, 3.5), (3.0, 4.0)),
              "GATE": ((0.0, 0.05), (0.03, 0.1), (0.07, 0.15), (0.1, 0.2), (0.15, 0.3))}
"""Constants of `confidence` and compared values."""


def dice(found, made):
    """Overlap of confidence above one half with the content: 2 |A and B| / (|A| + |B|)."""
    covered, content = found.confidence > 0.5, made.distance <= CONTENT_ANGSTROM
    return 2 * np.count_nonzero(covered & content) / (np.count_nonzero(covered) + np.count_nonzero(content))


def overlaps(made):
    """Mean overlap for every value of every constant of confidence, with the others unchanged.

    Parameters
    ----------
    made : list of (float, simulated.Complex)
        Signal to noise, and the map.

    Yields
    ------
    name : str
    value : float or (float, float)
    means : list of float
        One for each signal to noise, in rising order.
    """
    levels = sorted({level for level, _ in made})
    for name, values in CONFIDENCE.items():
        for value in values:
            with mock.patch.object(confidence, name, value):
                found = [(level, dice(estimate(m.map, voxel_size=m.voxel_size), m)) for level, m in made]
            yield name, value, [np.mean([d for level, d in found if level == wanted]) for wanted in levels]


def kinds_of_maps(made):
    """Maps for the verdicts by kind: name -> list of (map, voxel size)."""
    kinds = {"noise alone": [], "content": [], "content inverted": [], "no solvent": []}
    for _, m in made:
        noise = m.map - m.signal
        kinds["noise alone"].append((noise, m.voxel_size))
        kinds["content"].append((m.map, m.voxel_size))
        kinds["content inverted"].append((-m.map, m.voxel_size))
        # copies of the particle at a distance of a third of the box, without space between them
        third = m.map.shape[0] // 3
        shifts = itertools.product((0, third, 2 * third), repeat=3)
        filled = sum(np.roll(m.signal, shift, (0, 1, 2)) for shift in shifts)
        kinds["no solvent"].append(((filled + noise).astype(np.float32), m.voxel_size))
    return kinds


def _dark_share(result):
    model = result.solvent
    below = (model.centres - model.mean) / model.sigma < -4
    return model.counts[below].sum() / model.counts.sum()


# constant, measured quantity, kind of map below it, kind above it
LIMITS = (
    ("NOISE_LIMIT", lambda r: r.noise / r.full_scale_quantile, "content", "noise alone"),
    ("NARROW_PEAK", lambda r: r.solvent.sigma / r.noise, "no solvent", "content"),
    ("UNEVEN_MAXIMUM", lambda r: r.scale_noise * r.full_scale / r.floor if r.floor > 0 else np.nan, "content",
     "no solvent"),
    ("LEAST_DARK_SHARE", _dark_share, "noise alone", "content inverted"),
)


def limits(made):
    """Range for each limit of a verdict.

    Yields
    ------
    name : str
    below, above : (str, float, float)
        Kind of map, and its smallest and largest measured value.
    """
    found = {kind: [estimate(volume, voxel_size=size) for volume, size in volumes]
             for kind, volumes in kinds_of_maps(made).items()}
    for name, measure, *kinds in LIMITS:
        values = [[measure(result) for result in found[kind]] for kind in kinds]
        yield name, *((kind, np.nanmin(v), np.nanmax(v)) for kind, v in zip(kinds, values, strict=True))


def main(arguments=None):
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.calibrate", description=__doc__.split("\n\n")[1])
    parser.add_argument("--seeds", type=int, default=3, help="maps per signal-to-noise ratio")
    seeds = range(parser.parse_args(arguments).seeds)
    made = [(level, simulated.complex_with_occupancies(level, seed)) for level in LEVELS for seed in seeds]
    print("Limits of verdicts, and measured values of maps below and above them\n")
    for name, *sides in limits(made):
        kinds = "   ".join(f"{kind}: {low:.3g} to {high:.3g}" for kind, low, high in sides)
        print(f"{name:18s} {getattr(facts, name):<8g} {kinds}")
    print(f"\nOverlap (Dice) of confidence with the content, at signal to noise {', '.join(map(str, LEVELS))}\n")
    for name, value, means in overlaps(made):
        used = "  in force" if value == getattr(confidence, name) else ""
        print(f"{name:18s} {value!s:12s} {' '.join(f'{mean:.3f}' for mean in means)}  mean {np.mean(means):.3f}{used}")


if __name__ == "__main__":
    main()
