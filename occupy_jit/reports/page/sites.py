"""Pictures of ligands in a report: the density in the plane of each, with its atoms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from occupy_jit.reports.colours import ramp
from occupy_jit.reports.png import data_uri

if TYPE_CHECKING:
    from occupy_jit.reports.page.data import LigandSite

_DENSITY = ((0.0, "#ffffff"), (0.35, "#c9d3df"), (1.0, "#2f4258"))
_WIDTH = 240.0  # of the picture, in its own units


def figures(data: Any) -> list[Any]:
    """The ligands of a report: name, words, details and picture of each."""
    return [{"name": site.name, "said": site.said, "details": site.details, "svg": Markup(picture(site))}
            for site in data.sites]


def picture(site: LigandSite) -> str:
    """The density at a ligand and its atoms, as SVG.

    Parameters
    ----------
    site : occupy_jit.reports.page.data.LigandSite

    Returns
    -------
    str
    """
    rows, columns = site.section.shape
    scale = _WIDTH / (columns * site.pixel)
    height = rows * site.pixel * scale
    # fewer colours deflate better without a visible change
    image = data_uri(ramp(_DENSITY, (site.section[::-1] * 48).round() / 48).astype("uint8"))
    parts = [f'<image href="{image}" width="{_WIDTH:g}" height="{height:.1f}" preserveAspectRatio="none"/>']
    for kind, atoms, bonds in (("others", site.others, site.other_bonds), ("ligand", site.atoms, site.bonds)):
        places = [(x * scale, height - y * scale) for x, y in atoms]
        lines = "".join(f"M{places[a][0]:.1f},{places[a][1]:.1f}L{places[b][0]:.1f},{places[b][1]:.1f}"
                        for a, b in bonds)
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2.6 if kind == "ligand" else 1.6}"/>'
                       for x, y in places)
        parts.append(f'<g class="{kind}"><path d="{lines}"/>{dots}</g>')
    bar = 5 * scale
    parts.append(f'<path class="scalebar" d="M8,{height - 8:.1f}h{bar:.1f}"/>'
                 f'<text class="strong" x="8" y="{height - 13:.1f}">5 Å</text>')
    return (f'<svg class="site" viewBox="0 0 {_WIDTH:g} {height:.1f}" role="img" '
            f'aria-label="Density at {escape(site.name)}">' + "".join(parts) + "</svg>")
