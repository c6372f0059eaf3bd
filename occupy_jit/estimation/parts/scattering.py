"""Contribution of an atom to a map: its electron form factor less the ice that it displaces, as a radial function.

The method section of the manual, "Occupancy of the parts of a model", has the formulas.
"""

from typing import Any

import numpy as np

from occupy_jit.files.models.reading import require_extra
from occupy_jit.files.models.residue_names import NUCLEIC, OTHER, PROTEIN

WIDTHS = (4.0, 30.0)
"""In Å^2: a form factor is a1 exp(-4 s^2/4) + a2 exp(-30 s^2/4); below 0.4/Å that is within 1% for C N O S P."""
ICE_DENSITY = 0.07
"""Of amorphous ice, per Å^3, in the units of the form factors."""
VOLUME = {PROTEIN: 17.0, NUCLEIC: 14.5, OTHER: 16.0}
"""In Å^3 per atom but hydrogen: 1.209 and 0.958 Å^3 per dalton (Voss & Gerstein 2005, J. Mol. Biol. 346, 477)."""
TABLE_ENTRIES = 2048


def form_factor(element: str) -> np.ndarray:
    """Weights of the two Gaussians that approximate the tabulated electron form factor of an element below 0.4/Å.

    Least squares; gemmi's table (c4322: Peng et al. 1996, Acta Cryst. A52, 257).
    """
    gemmi = require_extra()
    s = np.linspace(0, 0.4, 41)
    table = gemmi.Element(element).c4322
    curve = sum(a * np.exp(-b * s * s / 4) for a, b in zip(table.a, table.b, strict=True))
    basis = np.stack([np.exp(-b * s * s / 4) for b in WIDTHS], 1)
    return np.linalg.lstsq(basis, curve, rcond=None)[0]


def atom_types(element: np.ndarray, kind: np.ndarray) -> tuple[Any, ...]:
    """Kinds of scatterers: (element, kind) of every type, and the type of every atom (int32)."""
    types, index = np.unique(np.stack([element, kind.astype(str)], 1), axis=0, return_inverse=True)
    return [(str(e), int(k)) for e, k in types], index.ravel().astype(np.int32)


def scattering_curves(types: list[tuple[str, int]], s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scattering of the atoms of every type at frequencies `s` (1/Å), and of the ice they displace; (types, len(s)).

    A displaced volume V of ice is a Gaussian of the same integral, rho V exp(-pi V^(2/3) s^2) (Fraser et al. 1978,
    J. Appl. Cryst. 11, 693).
    """
    atoms, ice = [], []
    for element, kind in types:
        atoms.append(sum(w * np.exp(-b * s * s / 4) for w, b in zip(form_factor(element), WIDTHS, strict=True)))
        volume = VOLUME[kind]
        ice.append(ICE_DENSITY * volume * np.exp(-np.pi * volume ** (2 / 3) * s * s))
    return np.array(atoms).reshape(-1, len(s)), np.array(ice).reshape(-1, len(s))


class RadialTransform:
    """From curves over frequency to tables over the squared distance: inverse Fourier transform of radial functions.

    The functions fade to 0 over the last third of the reach. The loss of their integral is restored
    as a wide bump, so that the mean of the filtered map does not change.
    """

    def __init__(self, s: np.ndarray, reach: float, entries: int = TABLE_ENTRIES) -> None:
        self.s = s
        self.squares_per_entry = (entries - 2) / reach**2
        square = np.arange(entries) / self.squares_per_entry
        r = np.sqrt(square)
        step = s[1] - s[0]
        weights = np.full(len(s), step)
        weights[0] = weights[-1] = step / 2
        self.matrix = ((4 * np.pi * s * s * weights)[:, None] * np.sinc(2 * np.outer(s, r))).astype(np.float32)
        window = np.where(r < reach * 2 / 3, 1.0, 0.5 + 0.5 * np.cos(np.pi * (r / reach - 2 / 3) * 3))
        window[-2:] = 0
        self.window = window.astype(np.float32)
        # 4 pi r^2 dr = 2 pi r d(r^2)
        shell = 2 * np.pi * r / self.squares_per_entry
        bump = window * np.exp(-4.5 * square / reach**2)
        self.shell = shell.astype(np.float32)
        self.bump = (bump / (bump * shell).sum()).astype(np.float32)

    def __call__(self, curves: np.ndarray) -> np.ndarray:
        """Tables (rows, entries) of curves (rows, len(s)); float32."""
        curves = np.asarray(curves, np.float32)
        table = (curves @ self.matrix) * self.window
        table += (curves[:, :1] - (table @ self.shell)[:, None]) * self.bump
        return table
