"""Verdicts on a map: a code and a clear sentence each, from the facts of its estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from occupy_jit.estimation import flexibility
from occupy_jit.estimation.modification import equalise
from occupy_jit.estimation.noise import half_maps, halves_of_other_map
from occupy_jit.estimation.scale import reference
from occupy_jit.estimation.scale.facts import NOISE_LIMIT
from occupy_jit.estimation.scale.result import Verdict

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.result import Result

_GOOD_FIT = 0.7
_COVERS_NOTHING, _COVERS_EVERYTHING = 1e-4, 0.7
_KERNEL_SHARE = 0.1


def verdicts(result: Result) -> tuple[Verdict, ...]:
    """All verdicts on a map, in the order of the estimate.

    Parameters
    ----------
    result : occupy_jit.estimation.scale.result.Result

    Returns
    -------
    tuple of occupy_jit.estimation.scale.result.Verdict
    """
    found = _on_map(result.facts)
    halves = result.half_maps
    if halves is not None and halves.map_correlation is not None:
        found += halves_of_other_map.verdicts(halves.map_correlation, halves.map_flattened)
    found += _on_definition(result.facts)
    if halves is not None:
        found += half_maps.verdicts(halves)
    found += _on_levels(result.facts)
    if result.reference is not None:
        found += reference.verdicts(result.reference, result.full_scale)
    found += _on_solvent(result) + _on_scale(result) + _on_confidence(result.facts)
    found += equalise.verdicts(result) + flexibility.verdicts(result)
    if halves is not None:
        found += half_maps.verdict_on_factor(halves)
    return tuple(Verdict(*one) for one in found)


def _on_map(facts):
    if not facts.hot_voxels:
        return []
    number = "one voxel is" if facts.hot_voxels == 1 else f"{facts.hot_voxels} voxels are"
    return [("hot-voxels", f"{number} isolated and far above all others: they are treated as artefacts, and "
                           "replaced by the values around them in the estimate and in all output maps")]


def _on_definition(facts):
    found = []
    if facts.definition_inverted:
        found.append(("solvent-def-inverted", "the solvent definition marks solvent instead of content: it was "
                                              "inverted"))
    if facts.definition_left is not None:
        found.append(("solvent-def-tight", f"the solvent definition leaves only {facts.definition_left} voxels of "
                                           "solvent farther than the ball from content: confidence is estimated "
                                           "without it"))
    return found


def _on_levels(facts):
    found = []
    if not facts.stands_above_solvent:
        found.append(("no-content", "nothing stands above solvent, so the scale is meaningless: check that the map "
                                    "is not empty and that its contrast is not inverted"))
    if facts.ignored_floor is not None:
        floor, quantile, given = facts.ignored_floor
        which = "the given noise floor" if given else "the noise floor"
        found.append(("noise-floor-ignored", f"{which} ({floor:.4g}) reaches full scale ({quantile:.4g}): it is not "
                                             "subtracted, and the scale is the plain ratio to full scale"))
    return found


def _on_solvent(result):
    found, facts, model = [], result.facts, result.solvent
    if facts.solvent_flattened:
        found.append(("solvent-flattened", f"{facts.repeated_share:.0%} of the voxels have exactly the same value: "
                                           "the map was masked or its solvent flattened, so the noise cannot be "
                                           "measured; use the map before masking"))
    if facts.solvent_missing:
        found.append(("no-solvent", "the box contains hardly any solvent: zero level and noise floor had to be taken "
                                    "from content; use the map before it was cropped"))
    if facts.content_is_dark:
        found.append(("contrast-inverted", "the content is darker than solvent: the contrast seems inverted; "
                                           "multiply the map by -1"))
    if not facts.solvent_flattened and (not model.fitted or model.goodness < _GOOD_FIT):
        found.append(("solvent-fit-poor", f"a Gaussian fits the solvent peak poorly (goodness {model.goodness:.2f}): "
                                          "do not rely on the solvent model; --solvent-def may help. The scale does "
                                          "not depend on it"))
    return found


def _on_scale(result):
    found = []
    quantile = result.full_scale_quantile
    if result.noise > NOISE_LIMIT * quantile:
        found.append(("noise-dominates", f"noise in solvent is {result.noise / quantile:.0%} of full scale even after "
                                         "the low-pass: the map is over-sharpened or contains hardly any signal; try "
                                         "a larger --lowpass-input"))
    if result.ball.size > _KERNEL_SHARE * min(result.scale.shape):
        found.append(("kernel-large", f"the ball ({result.ball.size} voxels) is larger than a tenth of the box "
                                      f"({min(result.scale.shape)}): the scale is coarse"))
    return found


def _on_confidence(facts):
    covered = facts.confidence_share
    if covered is None:
        return []
    if covered < _COVERS_NOTHING:
        return [("confidence-nothing", "no voxel is content with any confidence: modifications will have no visible "
                                       "effect")]
    if covered > _COVERS_EVERYTHING:
        return [("confidence-everything", f"confidence covers {covered:.0%} of the box: solvent could not be "
                                          "distinguished from content")]
    return []
