"""The command line: every option and its help text, one row each.

Standard library only, because the manual page and the shell completion are made by importing this module, and
because ``OccuPy --help`` has to start at once. A row has a field, with its default, in `occupy_jit.settings`.
"""

import os
from dataclasses import replace
from functools import partial
from typing import Any

from occupy_jit import PROGRAM, __version__
from occupy_jit.cli.argument_parser import (
    HelpFormatter,
    Parser,
    Switch,
    add_option,
    noise_floor,
    number,
    whole,
)
from occupy_jit.errors import SettingError, UsageError
from occupy_jit.modifications import TABLE, requested
from occupy_jit.settings import (
    B_FACTORS,
    CLASS_DENSITIES,
    CLASSES_AMOUNT,
    SCALE_MODES,
    Options,
    Settings,
    chosen,
    require_effect,
)

SHELLS = ("bash", "zsh", "fish", "tcsh")

USAGE = f"{PROGRAM} -i MAP [MAP ...] [options]"

EXAMPLES = f"""\
examples:
  {PROGRAM} --demo                               try it on the small map that ships with it
  {PROGRAM} -i map.mrc                           local scale (a proxy for occupancy) of a map
  {PROGRAM} -i map.mrc --amplify --report        and bring weak regions up to full scale
  {PROGRAM} -i maps/ --output-dir out --jobs 4   all maps of a directory, four at once
"""

# Where a run gets its maps from; exactly one of these is given.
SOURCES = (("input_map", "-i"), ("emdb", "--emdb"), ("demo", "--demo"), ("relion_classes", "--relion-classes"),
           ("rerun", "--rerun"))
# What is done instead of a run on maps.
ERRANDS = ("warm_up", "collect", "show_completion", "install_completion")
# Options whose value is a name, or names, of files.
_NAMES = ("input_map", "output_map", "output_dir", "solvent_def", "target_mask", "reference_mask", "half_maps", "model",
          "particles", "relion_classes", "rerun",
          "emdb_dir", "cluster", "collect")


def _input(add):
    add("-i", "--input-map", metavar="MAP", nargs="+", path="map",
        text="maps to run on: .mrc .map .ccp4 .rec, plain, .gz or .bz2; a directory stands for all maps in it, and "
             "@FILE for a list of names, one per line")
    add("--emdb", metavar="ID", nargs="+", text="download the maps of these EMDB entries (11007 or EMD-11007) and "
                                                "run on them")
    add("--emdb-dir", metavar="DIR", path="directory",
        text="where to keep maps of the EMDB (default: $OCCUPY_EMDB_DIR, else occupy_jit/emdb in the user's cache)")
    add("--demo", action="store_true", text="run on the small map that ships with the package")
    add("--relion-classes", metavar="STAR", path="file",
        text="run on all classes of a RELION 3D classification (run_itNNN_model.star), on one common scale")
    add("--common-scale", action="store_true", text="put all maps given with -i on one common scale")
    add("--half-maps", metavar="MAP", nargs="+", path="map",
        text="two half maps, to measure the noise: run on their mean, or on the map after -i; auto: find the half "
             "maps by file name (also for classes), or those of the entry with --emdb")
    add("--voxel-size", metavar="Å", type=number, text="use this voxel size instead of the header's")
    add("--rerun", metavar="JSON", path="file", text="repeat the run that wrote this occupy_NAME.json")


def _output(add):
    add("-o", "--output-map", metavar="NAME", path="file",
        text="name of the modified map (default: out_<input file name>)")
    add("--output-dir", metavar="DIR", path="directory",
        text="directory for all output files; created if missing")
    add("--save-all-maps", "--no-save-all-maps", action=Switch,
        text="also write the low-passed map, the confidence, the standard error and the modification applied")
    add("--save-error", action="store_true",
        text="write sd_NAME.mrc, the standard error of the scale (with --half-maps or --save-all-maps: always)")
    add("--plot", "--no-plot", action=Switch, text="write solModel_NAME.png, histogram and solvent "
        "model, and slices_NAME.png, central slices; with --model also parts_NAME.png, with --states "
        "states_heatmap.png and states_graph.png")
    add("--report", "--no-report", action=Switch,
        text="write report_NAME.html, a report in one file for any browser (with --demo: on)")
    add("--report-paths", action="store_true", text="show full paths in the report instead of file names")
    add("--save-chimerax", "--no-save-chimerax", action=Switch,
        text="write chimX_NAME.cxc, which opens the results in ChimeraX")
    add("--min-vis-scale", metavar="S", type=number,
        text="lowest scale shown in the ChimeraX colours, from 0 to below 1")
    add("--json", "--no-json", action=Switch,
        text="write occupy_NAME.json: settings, results, checksums")
    add("--save-solvent-def", metavar="T", type=number,
        text="write a mask of scale > T (0 to 1), for --solvent-def")
    add("--subtraction-mask", action="store_true",
        text="write a soft mask of the density removed by attenuation or sigmoid, for particle subtraction")


def _estimation(add):
    add("-r", "--resolution", dest="resolution_angstrom", metavar="Å", type=number,
        text="resolution of the worst-resolved content of interest; sets low-pass and ball size unless they are given")
    add("--lowpass-input", dest="lowpass_input_angstrom", metavar="Å", type=number,
        text="low-pass before estimation (default: 6 voxels, but 6 to 9 Å and at least 3 voxels)")
    add("--kernel-size", metavar="PIX", type=whole,
        text="diameter of the ball in voxels, odd (default: from the low-pass, 3 to 9)")
    add("--kernel-radius", metavar="PIX", type=number,
        text="radius of the ball in voxels, may be fractional (default: low-pass / (2 * voxel size))")
    add("--tau", metavar="TAU", type=number,
        text="quantile that defines full scale, above 0 to 1 (default: from the ball)")
    add("--tile-size", dest="tile_size_angstrom", metavar="Å", type=number,
        text="edge of the cubes in the search for full scale")
    add("--noise-floor", metavar="VALUE", type=noise_floor,
        text="noise floor in the map's units, 0 for none; or local: measured in the solvent nearby, for noise that "
             "varies across the box (default: auto, measured in all solvent)")
    add("--naive-normalisation", action="store_true", text="set full scale to tau * maximum, without a search")
    add("--reference-mask", metavar="MASK", path="map",
        text="measure full scale inside this mask, which must cover a fully occupied part; no search")
    add("--scale-mode", choices=SCALE_MODES,
        text="estimate from the low-passed map (occupancy) or from the map as it is (resolution)")
    add("--separate-flexibility", action="store_true",
        text="also write occ_NAME.mrc, the scale corrected for flexibility, and flex_NAME.mrc, the B factor relative "
             "to the region of full scale in Å^2")


def _solvent(add):
    add("--solvent-def", metavar="MASK", path="map",
        text="rough mask of the content; improves confidence and solvent model, never changes the scale")
    add("--hedge-confidence", metavar="N", type=number, text="raise the confidence to this power")
    add("--no-confidence", action="store_true", text="treat everything as content: modify solvent, too")
    add("--exclude-solvent", "--retain-solvent", action=Switch,
        text="set solvent to 0 in the modified map, or keep it (default: keep)")


def _modification(add):
    file = {row.name: f"{row.prefix}NAME" for row in TABLE}
    add("--amplify", "--no-amplify", action=Switch, text=f"amplify partial occupancy: write {file['amplify']}")
    add("--amplify-amount", metavar="A", type=number,
        text="-1 to 1: 1 equalises, 0 does nothing, below 0 lowers partial occupancy further (with --relion-classes "
             f"{CLASSES_AMOUNT:g} unless given)")
    add("--amplify-limit", metavar="S", type=number,
        text="do not amplify below this scale, 0 to 1")
    add("--amplify-gamma", metavar="G", type=number,
        text=f"amplify by a power, 1 or more: write {file['amplify-gamma']}; the larger, the closer to equalised")
    add("--attenuate-gamma", metavar="G", type=number,
        text=f"attenuate partial occupancy by a power, 1 or more: write {file['attenuate-gamma']}")
    add("--sigmoid-gamma", metavar="G", type=number,
        text=f"amplify above the pivot and attenuate below it, 1 or more: write {file['sigmoid-gamma']}")
    add("--pivot", metavar="S", type=number, text="scale that the sigmoid leaves unchanged, 0 to 1")
    add("--plain-factors", action="store_true",
        text="amplify signal and noise alike, instead of each resolution band as far as its noise allows")
    add("--lowpass-amplified", dest="lowpass_amplified_angstrom", metavar="Å", type=number,
        text="low-pass of the modified maps (default: none)")
    add("--class-density", choices=CLASS_DENSITIES,
        text="with --relion-classes and a negative amount: scale the mean density by the relative occupancy of each "
             "class (shared), or lower each map by itself (own)")
    add("--match-histogram", action="store_true", text="match the histogram of the modified maps to the input's")


def _parts(add):
    add("--target-mask", metavar="MASK", nargs="+", path="map",
        text="report the occupancy inside each of these masks, with its error")
    add("--model", metavar="MODEL", path="file",
        text="report the occupancy of every chain and ligand of this atomic model, with its error (mmCIF or PDB, "
             "also compressed; fitted into the map); for classes also which parts differ")
    add("--parts", metavar="PART", nargs="+",
        text="define parts within chains: NAME=CHAIN:FIRST-LAST[,CHAIN:FIRST-LAST ...]")
    add("--residues", action="store_true", text="also fit every residue of the model: residues_NAME.csv")
    add("--reference-part", metavar="NAME", nargs="+",
        text="parts that are fully occupied (default: those that agree with the fullest)")
    add("--b-factors", choices=B_FACTORS, text="use the B factors of the model (model), none (flat), or whichever "
                                               "fits better (auto)")
    add("--assembly", metavar="N", text="build this biological assembly of the model first")


def _states(add):
    add("--states", metavar="N", nargs="?", const=True, type=whole,
        text="divide maps of one complex into states, by the parts of --model that they hold, or without a model by "
             "blocks that come and go together; N: into so many (default: as many as differ)")
    add("--particles", metavar="FILE", nargs="+", path="file",
        text="with --states: which particles the volumes stand for, or how many: a table of name,count; a model.star "
             "or data.star of RELION; labels of cryoDRGN (labels.pkl) and the .star or .cs that they are of; "
             "particles of a 3D classification of cryoSPARC (.cs)")
    add("--select", metavar="QUERY",
        text="with --states: also list the volumes, and the particles, that this holds for: \"L17>0.8 and L28<0.2\", "
             "\"state==2\"")


def _running(add):
    add("--threads", metavar="N", type=whole,
        text="threads to use (default: all available to the job); never changes the results")
    add("--jobs", metavar="N", type=whole, text="run N maps at once, in processes that share the threads")
    add("--resume", action="store_true",
        text="skip maps that an earlier run with the same settings has finished")
    add("--cluster", metavar="ADDRESS",
        text="run on the workers of the dask scheduler at this address or in this scheduler file; slurm: start "
             "workers as SLURM jobs, from your dask configuration")
    add("--cluster-jobs", metavar="N", type=whole, text="number of SLURM jobs for --cluster slurm")
    add("--array", action="store_true", text="in a SLURM array: run this task's share of the maps")
    add("--collect", metavar="DIR", path="directory",
        text="merge the tables that the tasks of an array have written to DIR")
    add("--verbose", "--quiet", action=Switch, dest="verbosity", on=1, off=-1,
        text="print more, or only warnings and errors (on standard error)")
    add("--dry-run", action="store_true",
        text="check the inputs, list the files to be written and the memory needed, and stop")
    add("--warm-up", action="store_true", text="compile now, so that later runs start fast")
    add("--show-completion", metavar="SHELL", choices=SHELLS,
        text="print the completion script for bash, zsh, fish or tcsh")
    add("--install-completion", metavar="SHELL", nargs="?", const=True, choices=SHELLS,
        text="install it for the current user (without SHELL: for $SHELL)")


# Title of each group, what is said under it, and its rows.
_GROUPS = (
    ("input", None, _input),
    ("output", None, _output),
    ("estimation of the scale", None, _estimation),
    ("solvent and confidence", None, _solvent),
    ("modification", "Each modification is written to its own map.", _modification),
    ("occupancy of parts", None, _parts),
    ("states of many volumes", None, _states),
    ("running", None, _running),
)


def build_parser() -> Parser:
    """Return the parser of the command ``OccuPy``."""
    parser = Parser(
        prog=PROGRAM,
        usage=USAGE,
        description="Local scale of cryo-EM maps, a proxy for occupancy, and maps modified by it.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    for title, description, rows in _GROUPS:
        group = parser.add_argument_group(title, description)
        rows(partial(add_option, group))
    group.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}",
                       help="print the version").path = None  # pyright: ignore[reportAttributeAccessIssue]
    group.add_argument("-h", "--help", action="help", help="print this help").path = None  # pyright: ignore[reportAttributeAccessIssue]
    return parser


def parse(argv: list[str]) -> tuple[Settings | dict, Options]:
    """Parse the arguments and check that they can be obeyed together.

    Parameters
    ----------
    argv : list of str
        Arguments without the program's name.

    Returns
    -------
    settings : occupy_jit.settings.Settings, or dict
        With --rerun what is given anew, by name: `occupy_jit.cli.rerun.repeated` makes settings of it.
    options : occupy_jit.settings.Options

    Raises
    ------
    UsageError
        If the arguments cannot be obeyed. --help and --version raise SystemExit(0), as argparse does.
    """
    try:
        return _parsed(argv)  # pyright: ignore[reportReturnType]
    except SettingError as error:
        raise error.as_option() from None


def _parsed(argv):
    given = {name: tuple(value) if isinstance(value, list) else value
             for name, value in vars(build_parser().parse_args(argv)).items()}
    options = chosen(Options, {**given, "given": frozenset(given), "command_line": (PROGRAM, *argv)})
    options = _with_half_maps(options)
    check(options)
    if options.rerun:
        return given, options  # they mean something only with those of the record
    if options.relion_classes and "amplify" not in given and not any(
            given.get(row.asked_by) for row in TABLE if not row.is_main):
        given["amplify"] = True  # as classes are modified where nothing else is asked for
    settings = chosen(Settings, given)
    check_effects(settings, options)
    return settings, options


def check_effects(settings: Settings, options: Options) -> None:
    """Raise UsageError for options that are given and can have no effect."""
    given = options.given
    require_effect(settings, given)
    made = requested(settings)
    for name, works, needed in (
            ("output_map", any(kind.is_main for kind in made), "--amplify or --exclude-solvent, whose map it names"),
            ("subtraction_mask", any(kind.removes for kind in made), "a modification that removes density, such as "
                                                                     "--attenuate-gamma"),
            ("b_factors", options.model is not None, "--model"),
            ("emdb_dir", bool(options.emdb), "--emdb"),
            ("min_vis_scale", options.save_chimerax, "the ChimeraX script (leave --no-save-chimerax out)"),
            ("report_paths", options.report or options.demo, "--report")):
        if name in given and not works and not options.rerun:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option}: has no effect without {needed}: add that, or leave it out")


def _with_half_maps(options):
    """The first of two half maps is the map that the run is named after."""
    halves = options.half_maps
    if not halves or halves == ("auto",):
        if halves and not (options.input_map or options.emdb or options.rerun or options.relion_classes):
            raise UsageError("--half-maps auto: give maps after -i, one of each pair of halves or beside one, or an "
                             "entry with --emdb")
        return options
    if len(halves) != 2:
        raise UsageError(f"--half-maps takes two half maps, or auto, not {len(halves)} "
                         f"{'name' if len(halves) == 1 else 'names'}")
    if options.emdb or options.demo or options.rerun:
        raise UsageError("--half-maps H1 H2 stand for the map themselves (their mean), or go with one map after -i: "
                         "leave out all other inputs")
    if options.common_scale or options.relion_classes:
        raise UsageError("--half-maps H1 H2 belong to one map, not to several on one scale: use --half-maps auto")
    if len(options.input_map) > 1:
        raise UsageError(f"--half-maps H1 H2 belong to one map, not to the {len(options.input_map)} after -i; for "
                         "several maps use --half-maps auto")
    if options.input_map:
        if options.input_map[0] in halves:
            raise UsageError(f"{options.input_map[0]} is one of its own half maps: leave out -i to run on their mean")
        return options
    return replace(options, input_map=(halves[0],))


def check(options: Options) -> None:
    """Raise UsageError for options that contradict each other; ranges are the business of Settings and Options."""
    if any(getattr(options, errand) is not None and getattr(options, errand) is not False for errand in ERRANDS):
        return
    sources = [option for name, option in SOURCES if getattr(options, name)]
    if not sources:
        raise UsageError(f"no map given: use -i MAP, or try {PROGRAM} --demo")
    if len(sources) > 1:
        raise UsageError(f"{' and '.join(sources)} cannot be given together: choose one input")
    if "class_density" in options.given and not options.relion_classes and not options.rerun:
        raise UsageError("--class-density goes with --relion-classes")
    for name in ("naive_normalisation", "tau", "tile_size_angstrom"):
        if options.reference_mask is not None and name in options.given:
            option = name.removesuffix("_angstrom").replace("_", "-")
            raise UsageError(f"--reference-mask and --{option} cannot be given together: both set full scale")
    if "separate_flexibility" in options.given and (options.relion_classes or options.common_scale):
        raise UsageError("--separate-flexibility cannot be used for maps on one common scale: B factors are relative "
                         "to each map's own region of full scale; run it on each map")
    check_number(options)
    _check_many(options)
    _check_states(options)
    for name in _NAMES:
        value = getattr(options, name)
        if "" in (value if isinstance(value, tuple) else [value]):
            raise UsageError(f"--{name.replace('_', '-')}: the name is empty")


def check_number(options: Options) -> None:
    """Raise UsageError for options that do not fit the number of maps: also once directories and lists are known."""
    number = len(options.input_map) + len(options.emdb)
    if options.output_map is not None and (number > 1 or options.relion_classes):
        raise UsageError("-o/--output-map names the output of one map; leave it out for several")
    several = any(name.startswith("@") or os.path.isdir(name) for name in options.input_map)
    if options.common_scale and number == 1 and not several:
        raise UsageError("--common-scale needs at least two maps after -i")


def _check_states(options):
    """Raise UsageError for options that do not go with states."""
    if options.states is None:
        for name in ("particles", "select"):
            if getattr(options, name):
                raise UsageError(f"--{name} goes with --states")
        return
    for name in ("demo", "rerun", "common_scale", "half_maps", "target_mask", "residues", "output_map"):
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} and --states cannot be given together")
    if options.array:
        raise UsageError("--array and --states cannot be given together: run the array with --model, then OccuPy "
                         "--collect DIR --states")


def _check_many(options):
    """Raise UsageError for ways to run many maps that contradict each other."""
    ways = [option for option, there in (("--jobs", options.jobs > 1), ("--cluster", options.cluster is not None))
            if there]
    if len(ways) > 1:
        raise UsageError("--jobs and --cluster cannot be given together: choose local processes or cluster workers")
    if options.cluster == "slurm" and options.cluster_jobs is None:
        raise UsageError("--cluster slurm needs --cluster-jobs N, the number of SLURM jobs")
    if options.cluster_jobs is not None and options.cluster != "slurm":
        raise UsageError("--cluster-jobs is for --cluster slurm")
    if options.array and options.cluster is not None:
        raise UsageError("--array and --cluster cannot be given together: a task of an array runs its maps itself")
    if options.resume and not options.json:
        raise UsageError("--resume needs the records: leave --no-json out")
    for option, there in (("--array", options.array), ("--resume", options.resume)):
        if there and (options.relion_classes or options.common_scale) and options.states is None:
            raise UsageError(f"{option} is for independent maps: leave it out")


def absolute(options: Options) -> Any:
    """The same options with absolute names of files, for workers whose current directory is another."""
    changed = {}
    for action in build_parser()._actions:
        value = getattr(options, action.dest, None)
        if getattr(action, "path", None) and value and action.dest != "output_map":
            changed[action.dest] = (tuple(map(_absolute, value)) if isinstance(value, tuple)
                                    else _absolute(value) if isinstance(value, str) else value)
    return replace(options, **changed)


def _absolute(name):
    return name if name == "auto" else os.path.abspath(name)
