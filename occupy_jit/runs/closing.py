"""The last lines of a run on the terminal: the files to open."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

from occupy_jit.files.names.paths import shown
from occupy_jit.runs.plan.output_kinds import Output, Role

_PAGES = (Role.CLASS_PAGE, Role.STATES_PAGE, Role.REPORT_INDEX, Role.REPORT)


def to_open(outputs: Iterable[Output]) -> list[str]:
    """Lines with the page and the ChimeraX script of a run, or with its log if neither is written.

    Parameters
    ----------
    outputs : iterable of occupy_jit.runs.plan.output_kinds.Output

    Returns
    -------
    list of str
    """
    paths = {output.role: output.path for output in outputs}
    page = next((paths[role] for role in _PAGES if role in paths), None)
    lines = [] if page is None else [page_line(page)]
    if Role.CHIMERAX in paths:
        lines.append(f"  chimerax {shlex.quote(shown(os.path.abspath(paths[Role.CHIMERAX])))}")
    if Role.LOG in paths:
        lines.append(f"  {shown(os.path.abspath(paths[Role.LOG]))}  lists all measurements")
    return lines


def page_line(path: str) -> str:
    """The line for a page."""
    return f"  {shown(os.path.abspath(path))}  opens in any browser"
