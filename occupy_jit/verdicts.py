"""What the user should know about a map: one code and one clear line each."""

import numpy as np

# A share of exactly equal voxels above this means the surroundings were flattened or masked.
_FLATTENED = 0.05
_FEWEST_QUIET = 0.15
_GOOD_FIT = 0.9
_COVERS_NOTHING, _COVERS_EVERYTHING = 1e-4, 0.7
_NOISE_LIMIT = 0.5
_KERNEL_SHARE = 0.1
_SAMPLE = 40_000


def repeated_value_share(volume):
    """Share of the voxels, in an even sample of the map, that have the most frequent value."""
    flat = volume.reshape(-1)
    # a stride coprime to the usual box edges, so that the sample crosses the whole box
    step = max(1, flat.size // _SAMPLE) | 1
    _, counts = np.unique(flat[::step], return_counts=True)
    return float(counts.max() / counts.sum())


def usable_levels(full, floor, floor_given, verdicts):
    """Full scale and noise floor that can be used, with a verdict where they could not be used as measured.

    In a map without content the best region is noise, and the noise floor reaches full scale: no scale above it
    exists then, and the plain ratio to the full scale is what can still be said.
    """
    if not full > 0:
        verdicts.append(("no-content", "nothing stands above solvent: the scale means nothing; is the contrast "
                                       "inverted, or the map empty?"))
        full = max(abs(full), float(np.finfo(np.float32).tiny) * 1e6)
    if floor >= 0.95 * full:
        which = "the given noise floor" if floor_given else "the noise floor"
        verdicts.append(("noise-floor-ignored", f"{which} ({floor:.4g}) reaches full scale ({full:.4g}): it is not "
                                                "subtracted, and the scale is the plain ratio to full scale"))
        floor = 0.0
    return full, floor


def judge(result, repeated_share):
    """Append to ``result.verdicts`` what the estimate itself shows."""
    say = result.verdicts
    model = result.solvent
    if repeated_share > _FLATTENED:
        say.append(("solvent-flattened", f"{repeated_share:.0%} of the voxels are exactly equal: the solvent was "
                    "flattened or masked, its noise is not known; use the map before masking"))
    elif result.quiet_share < _FEWEST_QUIET:
        say.append(("no-solvent", f"only {result.quiet_share:.0%} of the sphere inside the box is quiet: hardly any "
                    "solvent to compare with; use the map before it was cropped"))
    if _content_is_dark(model):
        say.append(("contrast-inverted", "the content is darker than solvent: the contrast seems inverted; multiply "
                    "the map by -1"))
    if repeated_share <= _FLATTENED and (not model.fitted or model.goodness < _GOOD_FIT):
        say.append(("solvent-fit-poor", "the Gaussian describes the solvent peak poorly (goodness "
                    f"{model.goodness:.2f}): do not trust the solvent model; --solvent-def may help. "
                    "The scale does not depend on it"))
    if result.noise > _NOISE_LIMIT * result.full_scale:
        say.append(("noise-dominates", f"noise in solvent is {result.noise / result.full_scale:.0%} of full scale even "
                    "after the low-pass: sharpened beyond use or hardly any signal; try a larger --lowpass-input"))
    if result.kernel.size > _KERNEL_SHARE * min(result.scale.shape):
        say.append(("kernel-large", f"the kernel ({result.kernel.size} voxels) is larger than a tenth of the box "
                    f"({min(result.scale.shape)}): the scale is coarse"))
    if result.confidence is not None:
        covered = covered_share(result.confidence)
        if covered < _COVERS_NOTHING:
            say.append(("confidence-nothing", "confidence covers nothing: no modification will be visible"))
        elif covered > _COVERS_EVERYTHING:
            say.append(("confidence-everything", f"confidence covers {covered:.0%} of the box: solvent is not told "
                        "from content"))


def covered_share(confidence):
    """Share of the box with confidence above one half."""
    return float(np.count_nonzero(confidence > 0.5) / confidence.size)


def _content_is_dark(model):
    """Whether far more of the histogram lies below the solvent peak than above it."""
    if not model.sigma > 0:
        return False
    height = (model.centres - model.mean) / model.sigma
    weight = np.where(np.abs(height) > 4, model.counts * np.abs(height) ** 3, 0)
    below, above = weight[height < 0].sum(), weight[height > 0].sum()
    return bool(below > 2 * above and below > 0)
