"""The command line: every option and its help text, one row each.

This module uses the standard library only, because the manual page and the shell completion import it, and because
``OccuPy --help`` has to start at once. The defaults are in `occupy_jit.settings`, one field for each row here.
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
  {PROGRAM} --demo                               try the program on its demo map
  {PROGRAM} -i map.mrc                           estimate the local scale of a map
  {PROGRAM} -i map.mrc --amplify --report        also equalise the map, and write a report
  {PROGRAM} -i maps/ --output-dir out --jobs 4   run on all maps in a directory, four at a time
"""

# The sources of maps; exactly one of these is given.
SOURCES = (("input_map", "-i"), ("emdb", "--emdb"), ("demo", "--demo"), ("relion_classes", "--relion-classes"),
           ("rerun", "--rerun"))
# Tasks other than a run on maps.
ERRANDS = ("warm_up", "collect", "show_completion", "install_completion")
# Options that take one or more file names.
_NAMES = ("input_map", "output_map", "output_dir", "solvent_def", "target_mask", "reference_mask", "nucleic_mask",
          "half_maps", "model", "particles", "relion_classes", "rerun", "emdb_dir", "cluster", "collect")


def _input(add):
    add("-i", "--input-map", metavar="MAP", nargs="+", path="map",
        text="maps to run on (.mrc, .map, .ccp4 or .rec, also .gz or .bz2); a directory stands for all maps in it, "
             "and @FILE for a list of names, one per line")
    add("--emdb", metavar="ID", nargs="+", text="download the maps of these EMDB entries (11007 or EMD-11007) and "
                                                "run on them")
    add("--emdb-dir", metavar="DIR", path="directory",
        text="where to keep downloaded maps (default: $OCCUPY_EMDB_DIR, else occupy_jit/emdb in the user's cache)")
    add("--demo", action="store_true", text="run on the small demo map that comes with the program")
    add("--relion-classes", metavar="STAR", path="file",
        text="run on all classes of a RELION 3D classification (run_itNNN_model.star), on one common scale")
    add("--common-scale", action="store_true", text="put all maps given with -i on one common scale")
    add("--half-maps", metavar="MAP", nargs="+", path="map",
        text="two half maps, which measure the noise; the run is on their mean, or on the map given with -i. auto: "
             "find the half maps by file name (also for classes), or download them with --emdb")
    add("--voxel-size", metavar="Å", type=number, text="use this voxel size instead of the one in the header")
    add("--rerun", metavar="JSON", path="file", text="repeat the run that wrote this occupy_NAME.json file")


def _output(add):
    add("-o", "--output-map", metavar="NAME", path="file",
        text="name of the modified map (default: out_<input file name>)")
    add("--output-dir", metavar="DIR", path="directory",
        text="directory for all output files; created if it does not exist")
    add("--save-all-maps", "--no-save-all-maps", action=Switch,
        text="also write the low-passed map, the confidence, the standard error and the factors of each modification")
    add("--save-error", action="store_true",
        text="write sd_NAME.mrc, the standard error of the scale (always written with --half-maps or "
             "--save-all-maps)")
    add("--plot", "--no-plot", action=Switch, text="write pictures: solModel_NAME.png (histogram and solvent model) "
        "and slices_NAME.png (central slices); with --model also parts_NAME.png, with --states also "
        "states_heatmap.png and states_graph.png")
    add("--report", "--no-report", action=Switch,
        text="write report_NAME.html, a report in a single file for any browser (on with --demo)")
    add("--report-paths", action="store_true", text="show full paths in the report instead of file names")
    add("--save-chimerax", "--no-save-chimerax", action=Switch,
        text="write chimX_NAME.cxc, a script that opens the results in ChimeraX")
    add("--min-vis-scale", metavar="S", type=number,
        text="lower end of the colour scale in ChimeraX, at least 0 and below 1")
    add("--json", "--no-json", action=Switch,
        text="write occupy_NAME.json: settings, results and checksums")
    add("--save-solvent-def", metavar="T", type=number,
        text="write a mask of all voxels with a scale above T (0 to 1), for use with --solvent-def")
    add("--subtraction-mask", action="store_true",
        text="write a soft mask of the density that attenuation or the sigmoid removes, for particle subtraction")


def _estimation(add):
    add("-r", "--resolution", dest="resolution_angstrom", metavar="Å", type=number,
        text="resolution of the worst-resolved content of interest; sets the low-pass and the size of the ball "
             "unless they are given")
    add("--lowpass-input", dest="lowpass_input_angstrom", metavar="Å", type=number,
        text="low-pass before the estimation (default: 6 voxels, but between 6 and 9 Å, and at least 3 voxels)")
    add("--kernel-size", metavar="PIX", type=whole,
        text="diameter of the ball in voxels, an odd number (default: 3 to 9, from the low-pass)")
    add("--kernel-radius", metavar="PIX", type=number,
        text="radius of the ball in voxels, not necessarily whole (default: low-pass / (2 * voxel size))")
    add("--tau", metavar="TAU", type=number,
        text="define full scale by this quantile alone, above 0 and at most 1 (default: by the local contrast in the "
             "strongest cube, too)")
    add("--tile-size", dest="tile_size_angstrom", metavar="Å", type=number,
        text="edge of the cubes in the search for full scale")
    add("--noise-floor", metavar="VALUE", type=noise_floor,
        text="noise floor in units of the map, 0 for none. local: measure it in the solvent nearby, for noise that "
             "varies across the box (default: auto, measured in all solvent)")
    add("--naive-normalisation", action="store_true",
        text="set full scale to tau * maximum instead of searching for it")
    add("--reference-mask", metavar="MASK", path="map",
        text="measure full scale inside this mask, which must cover a fully occupied part, instead of searching "
             "for it")
    add("--nucleic-mask", metavar="MASK", path="map",
        text="mask of the DNA or RNA in a complex with protein: its contrast, 1.33 times that of protein, is evened "
             "out, so that both have scale 1 where they are complete")
    add("--scale-mode", choices=SCALE_MODES,
        text="estimate the scale from the low-passed map (occupancy) or from the map as given (resolution)")
    add("--separate-flexibility", action="store_true",
        text="also write occ_NAME.mrc, the scale corrected for flexibility, and flex_NAME.mrc, the B factor in Å^2 "
             "relative to the region of full scale")


def _solvent(add):
    add("--solvent-def", metavar="MASK", path="map",
        text="rough mask of the content; improves the confidence and the solvent model, and never changes the scale")
    add("--hedge-confidence", metavar="N", type=number, text="raise the confidence to this power")
    add("--no-confidence", action="store_true", text="treat everything as content, so that solvent is modified, too")
    add("--exclude-solvent", "--retain-solvent", action=Switch,
        text="set solvent to 0 in the modified map, or keep it (default: keep)")


def _modification(add):
    file = {row.name: f"{row.prefix}NAME" for row in TABLE}
    add("--amplify", "--no-amplify", action=Switch, text=f"amplify partial occupancy: write {file['amplify']}")
    add("--amplify-amount", metavar="A", type=number,
        text="from -1 to 1: 1 equalises, 0 does nothing, and a negative amount lowers partial occupancy further; "
             f"{CLASSES_AMOUNT:g} with --relion-classes unless given")
    add("--amplify-limit", metavar="S", type=number,
        text="do not amplify regions below this scale, 0 to 1")
    add("--amplify-gamma", metavar="G", type=number,
        text=f"amplify partial occupancy by a power of 1 or more: write {file['amplify-gamma']}; the larger the "
             "power, the more equal the map")
    add("--attenuate-gamma", metavar="G", type=number,
        text=f"attenuate partial occupancy by a power of 1 or more: write {file['attenuate-gamma']}")
    add("--sigmoid-gamma", metavar="G", type=number,
        text="amplify above the pivot and attenuate below it, by a power of 1 or more: write "
             f"{file['sigmoid-gamma']}")
    add("--pivot", metavar="S", type=number, text="scale that the sigmoid leaves unchanged, 0 to 1")
    add("--plain-factors", action="store_true",
        text="amplify signal and noise alike, instead of each resolution band only as far as its noise allows")
    add("--lowpass-amplified", dest="lowpass_amplified_angstrom", metavar="Å", type=number,
        text="low-pass of the modified maps (default: none)")
    add("--class-density", choices=CLASS_DENSITIES,
        text="with --relion-classes and a negative amount: scale the mean density by the relative occupancy of each "
             "class (shared), or lower the partial occupancy of each map separately (own)")
    add("--match-histogram", action="store_true",
        text="match the histogram of each modified map to that of the input")


def _parts(add):
    add("--target-mask", metavar="MASK", nargs="+", path="map",
        text="report the occupancy inside each of these masks, with its error")
    add("--model", metavar="MODEL", path="file",
        text="report the occupancy of every chain and ligand of this atomic model, with its error; the model (mmCIF "
             "or PDB, also compressed) must be fitted into the map. For classes, also report which parts differ")
    add("--parts", metavar="PART", nargs="+",
        text="define parts by ranges of residues: NAME=CHAIN:FIRST-LAST[,CHAIN:FIRST-LAST ...]")
    add("--residues", action="store_true", text="also fit every residue of the model, and write residues_NAME.csv")
    add("--reference-part", metavar="NAME", nargs="+",
        text="parts that are fully occupied (default: those that agree with the fullest)")
    add("--b-factors", choices=B_FACTORS, text="use the B factors of the model (model), one B factor for all atoms "
                                               "(flat), or whichever fits better (auto)")
    add("--assembly", metavar="N", text="build this biological assembly of the model first")


def _states(add):
    add("--states", metavar="N", nargs="?", const=True, type=whole,
        text="divide many maps of one complex into states, by the parts of --model that each map contains, or "
             "without a model by blocks of density that come and go together. N: number of states (default: as many "
             "as differ)")
    add("--particles", metavar="FILE", nargs="+", path="file",
        text="with --states: the particles behind each volume, or their number. A table of name,count; a model.star "
             "or data.star file of RELION; the labels.pkl of cryoDRGN, followed by the .star or .cs file of its "
             "particles; or the particles of a cryoSPARC 3D classification (.cs)")
    add("--select", metavar="QUERY",
        text="with --states: also list the volumes, and their particles, that meet this condition, such as "
             "\"L17>0.8 and L28<0.2\" or \"state==2\"")


def _running(add):
    add("--threads", metavar="N", type=whole,
        text="number of threads (default: all that the job may use); never changes the results")
    add("--jobs", metavar="N", type=whole, text="run N maps at a time, in processes that share the threads")
    add("--resume", action="store_true",
        text="skip maps that an earlier run with the same settings finished")
    add("--cluster", metavar="ADDRESS",
        text="run on the workers of the dask scheduler at this address or in this scheduler file. slurm: start "
             "workers as SLURM jobs, with the settings in your dask configuration")
    add("--cluster-jobs", metavar="N", type=whole, text="number of SLURM jobs for --cluster slurm")
    add("--array", action="store_true", text="in a SLURM array: run this task's share of the maps")
    add("--collect", metavar="DIR", path="directory",
        text="merge the tables that the tasks of an array wrote to DIR")
    add("--verbose", "--quiet", action=Switch, dest="verbosity", on=1, off=-1,
        text="print more, or only warnings and errors (on standard error)")
    add("--dry-run", action="store_true",
        text="check the inputs, list the output files and the memory needed, and stop")
    add("--warm-up", action="store_true", text="compile the program now, so that later runs start fast")
    add("--show-completion", metavar="SHELL", choices=SHELLS,
        text="print the completion script for bash, zsh, fish or tcsh")
    add("--install-completion", metavar="SHELL", nargs="?", const=True, choices=SHELLS,
        text="install completion for the current user (without SHELL: for $SHELL)")


# Title, description and rows of each group.
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
        description="Estimate the local scale of cryo-EM maps, a proxy for occupancy, and modify maps by it.",
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
    """Parse the arguments and check that they agree with each other.

    Parameters
    ----------
    argv : list of str
        Arguments without the program's name.

    Returns
    -------
    settings : occupy_jit.settings.Settings, or dict
        With --rerun, the settings on the command line by name: `occupy_jit.cli.rerun.repeated` adds those of the
        record.
    options : occupy_jit.settings.Options

    Raises
    ------
    UsageError
        If the arguments are wrong. --help and --version raise SystemExit(0), as argparse does.
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
        return given, options  # they only make sense together with the settings in the record
    if options.relion_classes and "amplify" not in given and not any(
            given.get(row.asked_by) for row in TABLE if not row.is_main):
        given["amplify"] = True  # classes are modified by default
    settings = chosen(Settings, given)
    check_effects(settings, options)
    return settings, options


def check_effects(settings: Settings, options: Options) -> None:
    """Raise UsageError for an option that was given and can have no effect."""
    given = options.given
    require_effect(settings, given)
    made = requested(settings)
    for name, works, needed in (
            ("output_map", any(kind.is_main for kind in made), "--amplify or --exclude-solvent, whose map it names"),
            ("subtraction_mask", any(kind.removes for kind in made), "a modification that removes density, such as "
                                                                     "--attenuate-gamma"),
            ("b_factors", options.model is not None, "--model"),
            ("emdb_dir", bool(options.emdb), "--emdb"),
            ("min_vis_scale", options.save_chimerax, "the ChimeraX script (leave out --no-save-chimerax)"),
            ("report_paths", options.report or options.demo, "--report")):
        if name in given and not works and not options.rerun:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option}: has no effect without {needed}: add that, or leave it out")


def _with_half_maps(options):
    """Name a run on two half maps after the first of them."""
    halves = options.half_maps
    if not halves or halves == ("auto",):
        if halves and not (options.input_map or options.emdb or options.rerun or options.relion_classes):
            raise UsageError("--half-maps auto needs a map after -i, either a half map or a map beside its half maps, "
                             "or an entry with --emdb")
        return options
    if len(halves) != 2:
        raise UsageError(f"--half-maps takes two half maps or auto, not {len(halves)} "
                         f"{'name' if len(halves) == 1 else 'names'}")
    if options.emdb or options.demo or options.rerun:
        raise UsageError("--half-maps H1 H2 cannot be combined with --emdb, --demo or --rerun: give the half maps "
                         "alone (the run is on their mean), or with one map after -i")
    if options.common_scale or options.relion_classes:
        raise UsageError("--half-maps H1 H2 belong to one map, not to several on one scale: use --half-maps auto")
    if len(options.input_map) > 1:
        raise UsageError(f"--half-maps H1 H2 belong to one map, not to the {len(options.input_map)} after -i; for "
                         "several maps use --half-maps auto")
    if options.input_map:
        if options.input_map[0] in halves:
            raise UsageError(f"{options.input_map[0]} is also given as a half map: leave out -i to run on the mean of "
                             "both half maps")
        return options
    return replace(options, input_map=(halves[0],))


def check(options: Options) -> None:
    """Raise UsageError for options that contradict each other; Settings and Options check ranges."""
    if any(getattr(options, errand) is not None and getattr(options, errand) is not False for errand in ERRANDS):
        return
    sources = [option for name, option in SOURCES if getattr(options, name)]
    if not sources:
        raise UsageError(f"no map given: use -i MAP, or try {PROGRAM} --demo")
    if len(sources) > 1:
        raise UsageError(f"{' and '.join(sources)} cannot be given together: choose one input")
    if "class_density" in options.given and not options.relion_classes and not options.rerun:
        raise UsageError("--class-density needs --relion-classes")
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
    """Raise UsageError for options that do not fit the number of maps; call again once directories are listed."""
    number = len(options.input_map) + len(options.emdb)
    if options.output_map is not None and (number > 1 or options.relion_classes):
        raise UsageError("-o/--output-map names the output of one map; leave it out for several")
    several = any(name.startswith("@") or os.path.isdir(name) for name in options.input_map)
    if options.common_scale and number == 1 and not several:
        raise UsageError("--common-scale needs at least two maps after -i")


def _check_states(options):
    """Raise UsageError for options that cannot be combined with states."""
    if options.states is None:
        for name in ("particles", "select"):
            if getattr(options, name):
                raise UsageError(f"--{name} needs --states")
        return
    for name in ("demo", "rerun", "common_scale", "half_maps", "target_mask", "residues", "output_map"):
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} and --states cannot be given together")
    if options.array:
        raise UsageError("--array and --states cannot be given together: run the array with --model, then OccuPy "
                         "--collect DIR --states")


def _check_many(options):
    """Raise UsageError for contradictory ways to run many maps."""
    ways = [option for option, there in (("--jobs", options.jobs > 1), ("--cluster", options.cluster is not None))
            if there]
    if len(ways) > 1:
        raise UsageError("--jobs and --cluster cannot be given together: choose local processes or cluster workers")
    if options.cluster == "slurm" and options.cluster_jobs is None:
        raise UsageError("--cluster slurm needs --cluster-jobs N, the number of SLURM jobs")
    if options.cluster_jobs is not None and options.cluster != "slurm":
        raise UsageError("--cluster-jobs needs --cluster slurm")
    if options.array and options.cluster is not None:
        raise UsageError("--array and --cluster cannot be given together: a task of an array runs its maps itself")
    if options.resume and not options.json:
        raise UsageError("--resume needs the records of finished maps: leave out --no-json")
    for option, there in (("--array", options.array), ("--resume", options.resume)):
        if there and (options.relion_classes or options.common_scale) and options.states is None:
            raise UsageError(f"{option} is for independent maps, not for maps on one scale: leave it out")


def absolute(options: Options) -> Any:
    """The same options with absolute file names, for workers that have a different current directory."""
    changed = {}
    for action in build_parser()._actions:
        value = getattr(options, action.dest, None)
        if getattr(action, "path", None) and value and action.dest != "output_map":
            changed[action.dest] = (tuple(map(_absolute, value)) if isinstance(value, tuple)
                                    else _absolute(value) if isinstance(value, str) else value)
    return replace(options, **changed)


def _absolute(name):
    return name if name == "auto" else os.path.abspath(name)
