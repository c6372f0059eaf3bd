"""The ways to modify a map, one row each, and which of them the settings ask for. Standard library only.

A new one takes a row here, its factor in `occupy_jit.kernels.voxelwise`, and the setting that asks for it.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

NEVER = math.inf


@dataclass(frozen=True)
class Modification:
    """One way to modify.

    Attributes
    ----------
    name : str
    prefix : str
        Of the file; "out_" is the modified map, which -o names.
    factor : str
        Name of the factor in `occupy_jit.kernels.voxelwise`.
    asked_by : str
        The setting that asks for it, by being true or a number.
    strength_from : str or None
        The setting that holds its strength; None: the strength is always 0.
    amplifies_above : float
        It amplifies content where its strength is above this.
    removes_below : float
        It takes content away where its strength is below this.
    refills : bool
        Noise like that of solvent fills what it takes away, unless solvent is excluded.
    alone : bool
        Done only where nothing else is asked for.
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
        """bool : Whether it makes content stronger."""
        return self.strength > self.amplifies_above

    @property
    def removes(self) -> bool:
        """bool : Whether it takes content away."""
        return self.strength < self.removes_below

    @property
    def is_main(self) -> bool:
        """bool : Whether its map is the one that -o names."""
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
    """Modifications that `settings` ask for, with their strengths, in the order in which they are written."""
    asked = [row for row in TABLE if getattr(settings, row.asked_by) not in (None, False)]
    chosen = [row for row in asked if not row.alone] or asked
    return [row if row.strength_from is None else replace(row, strength=getattr(settings, row.strength_from))
            for row in chosen]
