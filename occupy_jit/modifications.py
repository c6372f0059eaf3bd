"""The modifications, one row each, and those that the settings request. Standard library only.

A new one needs a row here, its factor in `occupy_jit.kernels.voxelwise`, and a setting.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

NEVER = math.inf


@dataclass(frozen=True)
class Modification:
    """A modification.

    Attributes
    ----------
    name : str
    prefix : str
        Of the file; "out_" is the main modified map, which has the name after -o.
    factor : str
        Name of the factor in `occupy_jit.kernels.voxelwise`.
    asked_by : str
        The setting that requests it, if true or a number.
    strength_from : str or None
        The setting with its strength; None: the strength is always 0.
    amplifies_above : float
        It amplifies content if its strength is above this.
    removes_below : float
        It removes content if its strength is below this.
    refills : bool
        Noise like that of solvent replaces removed content, unless solvent is excluded.
    alone : bool
        Applied only if no other modification is requested.
    strength : float
    """

    name: str
    prefix: str
    factor: str
    asked_by: str
    strength_from: str | None
    amplifies_above: float = NEVER
    removes_below: float = -NEVER
    refills: bool = False
    alone: bool = False
    strength: float = 0.0

    @property
    def amplifies(self) -> bool:
        """bool : Whether it amplifies content."""
        return self.strength > self.amplifies_above

    @property
    def removes(self) -> bool:
        """bool : Whether it removes content."""
        return self.strength < self.removes_below

    @property
    def is_main(self) -> bool:
        """bool : Whether its map has the name after -o."""
        return self.prefix == "out_"


TABLE = (
    Modification("amplify", "out_", "AMPLIFY_AMOUNT", "amplify", "amplify_amount", amplifies_above=0, removes_below=0),
    Modification("amplify-gamma", "ampl_", "AMPLIFY_GAMMA", "amplify_gamma", "amplify_gamma", amplifies_above=0),
    Modification("attenuate-gamma", "attn_", "ATTENUATE_GAMMA", "attenuate_gamma", "attenuate_gamma",
                 removes_below=NEVER, refills=True),
    Modification("sigmoid-gamma", "sigm_", "SIGMOID_GAMMA", "sigmoid_gamma", "sigmoid_gamma", amplifies_above=0,
                 removes_below=NEVER),
    # solvent exclusion alone is a modification with amount 0
    Modification("exclude-solvent", "out_", "AMPLIFY_AMOUNT", "exclude_solvent", None, alone=True),
)


def requested(settings: Any) -> list[Modification]:
    """Modifications requested by `settings`, with their strengths, in order of writing."""
    asked = [row for row in TABLE if getattr(settings, row.asked_by) not in (None, False)]
    chosen = [row for row in asked if not row.alone] or asked
    return [row if row.strength_from is None else replace(row, strength=getattr(settings, row.strength_from))
            for row in chosen]
