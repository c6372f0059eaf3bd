"""Texts of a report: the main sentence, the methods text, the citation. Plain text; the page escapes it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from occupy_jit import __version__

NEARLY_ALL = 0.045
"""Share of the core below half of full scale up to which a map counts as fully occupied.

In simulated maps that are fully occupied the share is at most 0.042, and 0.017 with noise.
"""

LEAST_TOLD = 0.03
"""Smallest certainly weak share of the core that is reported as a lower limit.

In simulated maps in which nothing is below half it is at most 0.029, also where many chains have an occupancy of 0.6.
"""

MOSTLY_STRONG = 0.5
"""Smallest share of the core at 0.8 of full scale or more for a map without weak parts to count as full.

In simulated maps that are fully occupied it is 0.63 or more, but 0.33 with much noise and coarse voxels.
"""

_LARGE = 0.995

_MEANINGLESS = {
    "no-content": "This map has no scale: nothing stands above solvent.",
    "contrast-inverted": "The scale of this map is meaningless: its contrast seems inverted.",
    "noise-dominates": "The scale of this map mostly shows noise.",
    "confidence-everything": "Solvent could not be distinguished from content, so the weak share is unknown.",
}
_WHY = ": missing in some particles, or mobile."

CITATION = ("Forsberg, Shah & Burt. A robust normalized local filter to estimate compositional heterogeneity directly "
            "from cryo-EM maps. Nat. Commun. 14 (2023). https://doi.org/10.1038/s41467-023-41478-1")
BIBTEX = """@article{Forsberg2023,
  author  = {Forsberg and Shah and Burt},
  title   = {A robust normalized local filter to estimate compositional heterogeneity directly from cryo-EM maps},
  journal = {Nature Communications},
  volume  = {14},
  year    = {2023},
  doi     = {10.1038/s41467-023-41478-1}
}"""


@dataclass(frozen=True)
class Sentence:
    """The heading of a report, with emphasised first words.

    Attributes
    ----------
    strong, rest : str
    tone : str
        "weak", "full", "unseen" or "none": part of the map is weak, nearly all of it is full, nothing weak is visible
        but noise may hide some, or there is no result.
    more : str
        Text below the heading, in smaller type.
    """

    strong: str
    rest: str
    tone: str
    more: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.strong, self.rest, self.more)))


@dataclass(frozen=True)
class Seen:
    """The visibility limit of a map.

    Attributes
    ----------
    limit : float or None
        None if the noise is unknown.
    noise_hides : bool
        Whether noise hides weaker parts, or may hide them.
    """

    limit: float | None
    noise_hides: bool


def sentence(core: Any, verdicts: Sequence[str], seen: Seen, common: bool = False) -> Sentence:
    """The weak share of a map in one sentence, and the parts that noise hides in another.

    Parameters
    ----------
    core : occupy_jit.estimation.scale.core.Core
    verdicts : sequence of str
        Codes. Some mean that the scale is meaningless, and then give the sentence.
    seen : Seen
    common : bool
        Whether full scale is common to several maps.

    Returns
    -------
    Sentence
    """
    for code, words in _MEANINGLESS.items():
        if code in verdicts:
            return Sentence(words, "See the warnings below.", "none")
    if core.empty:
        return Sentence("This map has hardly any core:", "no confident content is larger than the ball.", "none")
    region = "the strongest region of all maps" if common else "its strongest region"
    if seen.noise_hides:
        return _at_least(core, seen, region)
    if core.weak_share < NEARLY_ALL and core.strong_share >= MOSTLY_STRONG:
        return Sentence("Nearly all of this map is at full strength:",
                        f"{weak_share(core, False)} of its core is below half of {region}.", "full")
    if core.weak_share < NEARLY_ALL:
        return Sentence("Nothing is clearly missing,",
                        f"but most of this map lies below the strength of {region}.", "full")
    if core.weak_share > _LARGE:
        return Sentence("Nearly all of the core of this map is below half", f"of {region}.", "weak")
    return Sentence(f"{weak_share(core, False)} of the core of this map is below half", f"of {region}{_WHY}", "weak")


def _at_least(core, seen, region):
    """The sentence if noise hides parts, with a lower limit for the visible part."""
    if core.surely_weak_share > _LARGE:
        return Sentence("Nearly all of the core of this map is below half", f"of {region}. {hidden(seen)}", "weak")
    if core.surely_weak_share >= LEAST_TOLD:
        share = weak_share(core, True)
        return Sentence(f"{share[0].upper()}{share[1:]} of the core of this map is below half",
                        f"of {region}{_WHY} {hidden(seen)}", "weak")
    if core.strong_share >= MOSTLY_STRONG:
        return Sentence("No weak part is seen in this map,", f"but noise may hide some. {hidden(seen)}", "unseen")
    return Sentence("No part below half is clearly seen,",
                    f"but most of this map lies below the strength of {region}. {hidden(seen)}", "unseen")


def hidden(seen: Seen) -> str:
    """The parts that noise hides, in one sentence; empty if it hides none."""
    if not seen.noise_hides:
        return ""
    if seen.limit is None:
        return "The noise of this map is unknown, so weak parts may be hidden."
    return f"Parts below {seen.limit:.2f} cannot be seen at this noise."


def weak_share(core: Any, noise_hides: bool) -> str:
    """Weak share of a core in words; a lower limit if noise hides parts."""
    if noise_hides:
        return at_least(core.surely_weak_share)
    return "less than 1%" if core.weak_share < 0.01 else f"{core.weak_share:.0%}"


def at_least(share: float) -> str:
    """A share that is a lower limit, in words, never rounded up."""
    return f"at least {math.floor(100 * share + 1e-9)}%" if share >= LEAST_TOLD else "none seen"


def methods(record: dict[str, Any], modified: Sequence[str]) -> str:
    """A paragraph for the methods section of a paper.

    Parameters
    ----------
    record : dict
        Of the run.
    modified : sequence of str
        Names of the modifications.

    Returns
    -------
    str
    """
    settings, derived, found = record["settings"], record["derived"], record["results"]
    voxel = record["input"]["voxel_size_angstrom"]
    filtered = ("without a filter" if settings["scale_mode"] == "resolution" else
                f"low-passed to {derived['lowpass_angstrom']:.1f} Å")
    text = [f"The local scale of the map was estimated with OccuPy (occupy_jit {__version__}; Forsberg et al., "
            f"2023) from {_measured(found)} {filtered}, as the maximum over a "
            f"sphere of radius {derived['kernel_radius'] * voxel:.1f} Å relative to the level at full scale, "
            + _full_scale(settings, found, voxel) + "." + _noise(settings, found)]
    if record["options"].get("nucleic_mask"):
        text.append("Inside a mask of nucleic acid the contrast was first divided by 1.33, the contrast of nucleic "
                    "acid relative to protein.")
    if modified:
        by_bands = "band by band, without amplifying noise " if found.get("bands") else ""
        text.append(f"The map was modified by its scale {by_bands}({', '.join(modified)}"
                    + ("; solvent was suppressed)." if settings["exclude_solvent"] else ")."))
    text += _parts(found)
    core = found.get("core")
    if core:
        text.append(_core(core, found["visible_from"]))
    return " ".join(text)


def _core(core, limit):
    """Description of the core of the map."""
    seen, below = "the map", f"{core['weaker_than_half']:.0%} has a scale below 0.5"
    if core["noise_hides_parts"]:
        seen = "what can be distinguished from solvent"
        share = core["weaker_than_half_at_least"]
        below = (f"{at_least(share)} has a scale below 0.5" if share >= LEAST_TOLD else
                 f"less than {LEAST_TOLD:.0%} has a scale clearly below 0.5")
    text = (f"In the core of {seen} (without a rim of one ball radius), {below} and {core['scale_of_08_or_more']:.0%} "
            f"a scale of 0.8 or more; the median is {core['median_scale']:.2f}.")
    if core["noise_hides_parts"] and limit is not None:
        text += f" Parts as large as a chain with a scale below {limit:.2f} cannot be seen at the noise of this map."
    return text


def _measured(found):
    """The map behind the scale."""
    halves = found.get("half_maps")
    if halves is None:
        return "the map"
    return "the mean of its half maps" + (", scaled to its spectrum and" if "map_correlation" in halves else "")


def _noise(settings, found):
    """Source of local noise."""
    if found.get("half_maps") is not None:
        return " Local noise was estimated from the half-map difference."
    if settings.get("noise_floor") == "local":
        return " Local noise was estimated from solvent nearby."
    return ""


def _parts(found):
    """Sentences on flexibility, masks and models."""
    text = []
    if found.get("flexibility"):
        used = [band for band in found["flexibility"]["bands"] if band["used"]]
        text.append("Occupancy and flexibility were separated by the local power of the map relative to the region of "
                    f"full scale, in {len(used)} bands from {used[0]['from_angstrom']:g} to "
                    f"{used[-1]['to_angstrom']:g} Å.")
    if found.get("targets"):
        text.append("The occupancy inside a mask is the median of the scale over the peaks of the low-passed map "
                    "there; its standard error excludes the error of full scale.")
    if found.get("parts"):
        text.append("Occupancies and relative B factors of the parts of an atomic model were fitted to the map "
                    "jointly, relative to the parts at full occupancy.")
    return text


def _full_scale(settings, found, voxel):
    if settings["naive_normalisation"]:
        return "the largest density of the map"
    if found.get("reference"):
        return (f"a density of {found['full_scale']:.4g} above solvent, the median over the peaks of a part assumed "
                "to be fully occupied")
    if found.get("full_scale_corner_zyx") is None:
        return f"a density of {found['full_scale']:.4g} above solvent, common to several maps"
    what = "the level of fully occupied content, measured in the strongest cube" if settings.get("tau") is None else \
        "the highest quantile in any cube"
    return (f"a density of {found['full_scale']:.4g} above solvent, {what} of {found['full_scale_tile'] * voxel:.4g} Å")


def volume(cubic_angstrom: float, noise_hides: bool) -> str:
    """A volume in nm^3, as a lower limit if noise hides parts."""
    nm3 = cubic_angstrom / 1000
    if noise_hides and not nm3:
        return "–"
    return ("≥ " if noise_hides else "") + (f"{nm3:,.0f}" if nm3 >= 10 else f"{nm3:.2g}")


def whole(value: float) -> str:
    """A number without decimals, and without -0."""
    text = f"{value:.0f}"
    return "0" if text == "-0" else text


def number(value: bool | float | str | None) -> str:
    """A value of a setting or a result, as short as possible."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(number(item) for item in value)
    return str(value)
