"""The kinds of modification, and which of them the settings ask for. Standard library only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One way to modify: its name, the prefix of its file, and the factor that the kernel applies.

    Attributes
    ----------
    name : str
    prefix : str
    factor : str
        Name of the factor in `occupy_jit.kernels.voxelwise`.
    strength : float
    """

    name: str
    prefix: str
    factor: str
    strength: float


def requested(settings):
    """Kinds of modification that `settings` ask for, in the order in which they are written.

    Solvent exclusion alone is a modification with amount 0.
    """
    kinds = []
    if settings.amplify:
        kinds.append(Kind("amplify", "out_", "AMPLIFY_AMOUNT", settings.amplify_amount))
    if settings.amplify_gamma is not None:
        kinds.append(Kind("amplify-gamma", "ampl_", "AMPLIFY_GAMMA", settings.amplify_gamma))
    if settings.attenuate_gamma is not None:
        kinds.append(Kind("attenuate-gamma", "attn_", "ATTENUATE_GAMMA", settings.attenuate_gamma))
    if settings.sigmoid_gamma is not None:
        kinds.append(Kind("sigmoid-gamma", "sigm_", "SIGMOID_GAMMA", settings.sigmoid_gamma))
    if not kinds and settings.exclude_solvent:
        kinds.append(Kind("exclude-solvent", "out_", "AMPLIFY_AMOUNT", 0.0))
    return kinds
