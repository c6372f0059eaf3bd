"""All outputs on states, and their summary."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import quote

from occupy_jit.files.names.paths import shown
from occupy_jit.runs.closing import to_open
from occupy_jit.runs.plan.inputs import stem_of
from occupy_jit.runs.plan.names import Names
from occupy_jit.runs.plan.output_kinds import Output, Role
from occupy_jit.runs.states import mean_map, state_ligands, tables
from occupy_jit.runs.states.blocks_of_maps import rows_of, write_masks
from occupy_jit.runs.states.chosen_particles import write_particles
from occupy_jit.runs.states.state_ligands import ligands_wanted
from occupy_jit.runs.states.states_record import RECORD, record_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from occupy_jit.estimation.states.ensemble import StatesResult
    from occupy_jit.files.output.transaction import Outputs
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.states.findings import Findings
    from occupy_jit.settings import Options

LOG = "log_states.txt"
_STATES_TOLD, _PARTS_TOLD, _STATES_NAMED = 20, 8, 4


def write_all(found: Findings, outputs: Outputs, options: Options, log: RunLog) -> list[tuple[str, str]]:
    """Write tables, means, record and log; returns (path, description) of every file.

    Parameters
    ----------
    found : Findings
    outputs : occupy_jit.files.output.transaction.Outputs
    options : occupy_jit.settings.Options
    log : occupy_jit.reports.runlog.RunLog
    """
    result, folder = found.result, options.output_dir
    for sentence in result.warnings:
        log.warning(sentence)
    tell(result, found.counts_particles, log)
    written = []
    with log.timed("write"):
        for name, (what, text) in tables.tables_of(result, found.maps, found.counts).items():
            path = os.path.join(folder, name)
            with outputs.open(path, "w") as file:
                file.write(text)
            written.append((path, what))
    views = _views_wanted(found, log) if options.report else None
    ligands = ligands_wanted(found, options)
    means = _write_means(found, outputs, options, log, views, ligands) if found.scales else []
    written += means
    if ligands is not None:
        path = os.path.join(folder, state_ligands.NAME)
        with outputs.open(path, "w") as file:
            file.write(ligands.text())
        written.append((path, "ligands in every state"))
    if found.blocks is not None:
        written += write_masks(found.blocks, found.volumes, outputs, options)
    written += write_particles(found, outputs, options, log)
    if options.json:
        path = os.path.join(folder, RECORD)
        names = [name for name, _ in means] or found.kept_means
        more = {} if ligands is None else {"ligands": ligands.rows}
        more["report"] = os.path.basename(Role.STATES_PAGE.path(Names(folder, "", ""))) if options.report else None
        _write_record(found, path, [os.path.basename(name) for name in names], more, outputs, options, log)
        written.append((path, "record"))
    told = _told(found) if options.report or options.plot else {}
    if options.report:
        path = Role.STATES_PAGE.path(Names(folder, "", ""))
        with log.timed("page"):
            _write_page(found, told, path, outputs, log, views)
        written.append((path, "page of the states"))
    if options.plot:
        with log.timed("plot"):
            written += _write_charts(told, folder, outputs)
    path = os.path.join(folder, LOG)
    log.files(written)
    log.show_timings()
    with outputs.open(path, "w") as file:
        file.write(log.text())
    written.append((path, "log"))
    return written


def _views_wanted(found, log):
    """Collector of the mean maps for the page, with those of an earlier run; None without maps."""
    from occupy_jit.runs.states.state_views import ViewsOfMeans, views_of_kept

    if found.scales:
        return ViewsOfMeans(found.volumes.header.shape, found.volumes.header.voxel_size, found.result.n_states)
    return views_of_kept(found.kept_means, log) if found.kept_means else None


def _write_means(found, outputs, options, log, views=None, ligands=None):
    """Write the mean map of every state; `views` collects them for the page, `ligands` analyses their ligands."""
    import numpy as np

    from occupy_jit.files.maps.writing import write_map
    from occupy_jit.runs.one_map.writing import map_label

    result, written = found.result, []
    weights = 1 / np.square(np.nanmedian(result.se_noise, axis=1))
    scales = np.array([found.scales[path] for path in found.volumes.paths]) * result.full
    with log.timed("means of the states"):
        for s in range(result.n_states):
            log.step(f"mean of state {s + 1} of {result.n_states}")
            own = np.flatnonzero(result.partition.label == s)
            mean = mean_map.mean_of([found.volumes.paths[k] for k in own], scales[own], weights[own], options)
            path = os.path.join(options.output_dir, f"mean_state{s + 1}.mrc")
            write_map(path, mean, found.volumes.header, map_label(f"mean of {len(own)} volumes, state {s + 1}"),
                      outputs=outputs)
            written.append((path, f"mean map of state {s + 1}"))
            if views is not None and views.wants_more:
                views.add(mean, log)
            if ligands is not None:
                log.step(f"ligands of state {s + 1} of {result.n_states}")
                ligands.add(mean, s, log)
    log.step()
    return written


def _write_record(found, path, means, more, outputs, options, log):
    from occupy_jit.reports.record import write_record
    from occupy_jit.runs.one_map import summary
    from occupy_jit.settings import Settings

    told = _told(found, means) | more
    if found.blocks is not None:
        told["blocks"] = rows_of(found.blocks)
    record = summary.framed(Settings(), options, (), {"model": options.model}, told, log.verdicts, log.warnings)
    with outputs.open(path, "w") as file:
        write_record(file, record)


def _told(found, means=()):
    """Content of the record and the page."""
    return {"left_out": [{"map": name, "reason": reason} for name, reason in found.volumes.left_out],
            **record_of(found.result, found.maps, found.counts_particles, {"means": means, "counts": found.counts})}


def _write_charts(told, folder, outputs):
    """Write the heat map, and the graph if there is one; returns (path, description) of both."""
    from occupy_jit import __version__
    from occupy_jit.reports import states_charts

    charts = [(Role.STATES_HEAT_MAP, states_charts.heat_map)]
    if states_charts.has_graph(told):
        charts.append((Role.STATES_GRAPH, states_charts.graph))
    written = []
    for role, draw in charts:
        path = role.path(Names(folder, "", ""))
        with outputs.open(path) as file:
            draw(file, told, version=__version__)
        written.append((path, role.value))
    return written


def _write_page(found, told, path, outputs, log, views):
    from occupy_jit.reports.states_page.page import render

    told = told | {"without_model": found.blocks is not None, "warnings": log.warnings}
    with outputs.open(path) as file:
        file.write(render(told, reports_beside(path, found.maps), None if views is None else views.views(found)))


def reports_beside(page: str, maps: Sequence[str]) -> dict[str, str]:
    """Relative addresses of the reports of maps beside a page.

    Parameters
    ----------
    page : str
        Path.
    maps : sequence of str
        Volumes, as in the tables.

    Returns
    -------
    dict
        For volumes with a report, unless two have the same name.
    """
    stems = [stem_of(os.path.basename(name)) for name in maps]
    number = Counter(stems)
    paths = {name: Role.REPORT.path(Names(os.path.dirname(page), stem, ""))
             for name, stem in zip(maps, stems, strict=True) if stem and number[stem] == 1}
    return {name: "./" + quote(os.path.basename(path), errors="surrogateescape")
            for name, path in paths.items() if os.path.exists(path)}


def close(result: StatesResult, has_particles: bool, written: Sequence[tuple[str, str]], log: RunLog) -> None:
    """The last lines on the terminal: the number of states, the largest ones, and the files to open."""
    n, made = result.n_states, result.composition
    if result.is_continuous:
        said = f"The volumes vary continuously; {n} neighbourhoods stand for them."
    elif n == 1:
        said = "The volumes are in one state: they differ by no more than noise explains."
    else:
        largest = sorted(range(n), key=lambda s: -made.share[s])[:_STATES_NAMED]
        named = " ".join(f"State {s + 1} ({100 * made.share[s]:.0f}% of the "
                         f"{'particles' if has_particles else 'volumes'}): {_composition(result.parts, made.call[s])}."
                         for s in largest)
        said = f"{n} states. {named}" + (f" And {n - len(largest)} more." if n > len(largest) else "")
    roles = {Role.STATES_PAGE.value: Role.STATES_PAGE, "log": Role.LOG}
    log.closing(said, to_open(Output(roles[what], path) for path, what in written if what in roles))


def tell(result: StatesResult, has_particles: bool, log: RunLog) -> None:
    """Say what was found."""
    n, made = result.n_states, result.composition
    if result.is_continuous:
        log.verdict("continuous", f"volumes vary continuously along {result.continuum.n_directions} direction"
                    f"{'s' if result.continuum.n_directions > 1 else ''}; the {n} states are neighbourhoods, not "
                    "states of their own")
    else:
        log.say("one state: volumes differ by no more than noise explains" if n == 1 else f"{n} states")
    share_of = "particles" if has_particles else "volumes"
    for s in range(min(n, _STATES_TOLD)):
        log.say(f"  state {s + 1} ({100 * made.share[s]:.0f} ± {100 * made.se_share[s]:.0f}% of the {share_of}): "
                + _composition(result.parts, made.call[s]))
    if n > _STATES_TOLD:
        log.say(f"  and {n - _STATES_TOLD} more")
    log.detail("shares are those of the volumes that were given, or of the particles that these stand for; latent "
               "density is not a population of molecules")


def _composition(parts, calls):
    """A state in words."""
    words = []
    absent = [part for part, call in zip(parts, calls, strict=True) if call == "absent"]
    undecided = [part for part, call in zip(parts, calls, strict=True) if call == "undecided"]
    if not absent and not undecided:
        return "all parts present"
    if absent:
        words.append("without " + _some(absent))
    if undecided:
        words.append("undecided " + _some(undecided))
    return "; ".join(words)


def _some(names):
    return ", ".join(map(shown, names[:_PARTS_TOLD])) + (f" and {len(names) - _PARTS_TOLD} more"
                                                        if len(names) > _PARTS_TOLD else "")
