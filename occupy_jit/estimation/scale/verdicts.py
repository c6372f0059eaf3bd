"""What the user should know about a map: one code and one clear line each."""

import numpy as np

from occupy_jit.kernels.grid.sphere import section_inside

# A share of exactly equal voxels above this means the surroundings were flattened or masked.
_FLATTENED = 0.05
_FEWEST_QUIET = 0.15
_GOOD_FIT = 0.7
_COVERS_NOTHING, _COVERS_EVERYTHING = 1e-4, 0.7
# The four limits that follow were read from simulated maps; ``python -m bench.calibrate`` prints what they lie between.
NOISE_LIMIT = 0.31
"""Noise in solvent, as a share of the tau-quantile of the best region: above it noise dominates."""

NARROW_PEAK, UNEVEN_MAXIMUM = 0.85, 1.08
"""Quiet voxels that hold content vary more than the solvent peak is wide, and the sliding maximum over them varies by
more than its own height above zero: width of the peak in deviations of the quiet voxels, and deviation of the
sliding maximum in heights. Either tells, the second only if the ball is as wide as the finest detail that the
low-pass leaves, and not always: it lies above all maps with solvent."""

LEAST_DARK_SHARE = 3e-4
"""Share of the voxels more than 4 sigma below the mean of the solvent peak: above it something there is dark."""

_KERNEL_SHARE = 0.1
_SAMPLE = 40_000
# How far the most frequent value must exceed the next one to be more than a step of grey.
_STANDS_OUT = 3


def even_sample(volume):
    """Every few voxels of a volume along each axis, some 40 000 in all, and how many voxels a step is."""
    # strides that go with no usual box edge, so that the sample crosses the whole box
    stride = max(1, round((volume.size / _SAMPLE) ** (1 / 3)))
    return volume[::stride, ::stride, ::stride], stride


def most_frequent_value(sample):
    """The most frequent value of an array, its share, and how many times as frequent it is as the next one."""
    values, counts = np.unique(sample, return_counts=True)
    if counts.size == 0:
        return 0.0, 0.0, 0.0
    first = counts.argmax()
    following = np.partition(counts, -2)[-2] if counts.size > 1 else 0
    return (float(values[first]), float(counts[first] / counts.sum()),
            float(counts[first] / following) if following else np.inf)


def repeated_value_share(volume):
    """Share of the voxels, in an even sample of the inscribed sphere, that have the most frequent value.

    0 where the next most frequent value is nearly as frequent: a map stored in few steps of grey has ties everywhere.
    """
    sample, stride = even_sample(volume)
    inside = [section_inside(volume.shape, z, stride) for z in range(0, volume.shape[0], stride)]
    _, share, times_the_next = most_frequent_value(sample[np.array(inside)])
    return share if times_the_next >= _STANDS_OUT else 0.0


def usable_levels(full, quantile, floor, floor_given, verdicts):
    """Full scale and noise floor that can be used, with a verdict where they could not be used as measured.

    In a map without content the best region is noise, and the noise floor reaches its quantile: no scale above it
    exists then, and the plain ratio to that quantile, noise included, is what can still be said.
    """
    if not full > 0:
        verdicts.append(("no-content", "nothing stands above solvent: the scale means nothing; is the contrast "
                                       "inverted, or the map empty?"))
        full = quantile = max(abs(full), float(np.finfo(np.float32).tiny) * 1e6)
    if floor >= 0.95 * quantile:
        which = "the given noise floor" if floor_given else "the noise floor"
        verdicts.append(("noise-floor-ignored", f"{which} ({floor:.4g}) reaches full scale ({quantile:.4g}): it is "
                                                "not subtracted, and the scale is the plain ratio to full scale"))
        full, floor = quantile, 0.0
    return full, floor


def judge(result, repeated_share, whole, floor_given=False):
    """Append to ``result.verdicts`` what the estimate itself shows.

    Parameters
    ----------
    result : occupy_jit.estimation.Result
    repeated_share : float
        From `repeated_value_share`, of the map before the low-pass.
    whole : occupy_jit.estimation.solvent.model.SolventModel
        Of the whole inscribed sphere: where the solvent's side of a mask made ``result.solvent``, that has no content
        to look at.
    floor_given : bool
        Whether the noise floor is not what was measured, and tells nothing of the solvent.
    """
    say = result.verdicts
    model = result.solvent
    if repeated_share > _FLATTENED:
        say.append(("solvent-flattened", f"{repeated_share:.0%} of the voxels are exactly equal: the solvent was "
                    "flattened or masked, its noise is not known; use the map before masking"))
    elif result.quiet_share < _FEWEST_QUIET or _quiet_holds_content(result, whole, floor_given):
        say.append(("no-solvent", "hardly any solvent inside the box to compare with: zero level and noise floor come "
                    "from content; use the map before it was cropped"))
        _forget_independence(result)
    if _content_is_dark(whole):
        say.append(("contrast-inverted", "the content is darker than solvent: the contrast seems inverted; multiply "
                    "the map by -1"))
    if repeated_share <= _FLATTENED and (not model.fitted or model.goodness < _GOOD_FIT):
        say.append(("solvent-fit-poor", "the Gaussian describes the solvent peak poorly (goodness "
                    f"{model.goodness:.2f}): do not trust the solvent model; --solvent-def may help. "
                    "The scale does not depend on it"))
    quantile = result.full_scale_quantile
    if result.noise > NOISE_LIMIT * quantile:
        say.append(("noise-dominates", f"noise in solvent is {result.noise / quantile:.0%} of the best region even "
                    "after the low-pass: sharpened beyond use or hardly any signal; try a larger --lowpass-input"))
    if result.ball.size > _KERNEL_SHARE * min(result.scale.shape):
        say.append(("kernel-large", f"the kernel ({result.ball.size} voxels) is larger than a tenth of the box "
                    f"({min(result.scale.shape)}): the scale is coarse"))
    if result.confidence is not None:
        covered = covered_share(result.confidence)
        if covered < _COVERS_NOTHING:
            say.append(("confidence-nothing", "confidence covers nothing: no modification will be visible"))
        elif covered > _COVERS_EVERYTHING:
            say.append(("confidence-everything", f"confidence covers {covered:.0%} of the box: solvent is not told "
                        "from content"))


def _forget_independence(result):
    """Without solvent nothing says how much the half maps should differ by."""
    if result.half_maps is not None:
        result.half_maps["independence"] = None
        result.verdicts[:] = [one for one in result.verdicts if one[0] != "half-maps-dependent"]


def covered_share(confidence):
    """Share of the box with confidence above one half."""
    return sum(np.count_nonzero(section > 0.5) for section in confidence) / confidence.size


def _content_is_dark(model):
    """Whether far more of the histogram lies below the solvent peak than above it."""
    if not model.sigma > 0:
        return False
    height = (model.centres - model.mean) / model.sigma
    weight = np.where(np.abs(height) > 4, model.counts * np.abs(height) ** 3, 0)
    below, above = weight[height < 0].sum(), weight[height > 0].sum()
    return bool(below > 2 * above and model.counts[height < -4].sum() > LEAST_DARK_SHARE * model.counts.sum())


def _quiet_holds_content(result, model, floor_given):
    """Whether the voxels taken for solvent are content, for want of solvent."""
    if model.fitted and model.sigma < NARROW_PEAK * result.noise:
        return True
    wide = not floor_given and 2 * result.ball.radius * result.voxel_size > 0.99 * result.lowpass_angstrom
    return bool(wide and result.scale_noise * result.full_scale > UNEVEN_MAXIMUM * result.floor > 0)
