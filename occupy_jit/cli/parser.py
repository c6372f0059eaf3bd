"""The command line: every option, its help text and its default, in one place.

Standard library only, because the manual page and the shell completion are made by importing this module, and
because ``OccuPy --help`` has to start at once. Defaults come from :class:`occupy_jit.settings.Settings`.
"""

import argparse
import math
import os
import re

from occupy_jit import __version__
from occupy_jit.errors import UsageError
from occupy_jit.settings import SCALE_MODES, Settings

PROGRAM = "OccuPy"
SHELLS = ("bash", "zsh", "fish", "tcsh")

USAGE = f"{PROGRAM} -i MAP [MAP ...] [options]"

EXAMPLES = f"""\
examples:
  {PROGRAM} --demo                               try it on the small map that ships with it
  {PROGRAM} -i map.mrc                           local scale (a proxy for occupancy) of a map
  {PROGRAM} -i map.mrc --amplify --plot          and bring weak regions up to full scale
  {PROGRAM} -i *.mrc --output-dir out --quiet    many maps, one after the other
"""

# Where a run gets its maps from; exactly one of these is given.
SOURCES = (("input_map", "-i"), ("demo", "--demo"), ("relion_classes", "--relion-classes"), ("rerun", "--rerun"))
# What is done instead of a run on maps.
ERRANDS = ("warm_up", "show_completion", "install_completion")

_UNSET = object()


# --- types: one clear sentence for what cannot be read ----------------------------------------------------------


def _number(text):
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number") from None


def _whole(text):
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None


def _noise_floor(text):
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is neither auto nor a number") from None


# Settings checks its own ranges; these are for options that are not among the settings of the computation.


def _positive(text):
    value = _number(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"'{text}' must be a positive number")
    return value


def _positive_whole(text):
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' must be at least 1")
    return value


def _fraction(text):
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' must be between 0 and 1")
    return value


# --- the machinery ----------------------------------------------------------------------------------------------


class _Switch(argparse.Action):
    """A pair of flags, the first of which stores `on` and the second `off`."""

    def __init__(self, option_strings, dest, on=True, off=False, **kwargs):
        super().__init__(option_strings, dest, nargs=0, **kwargs)
        self.on, self.off = on, off

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, self.on if option_string == self.option_strings[0] else self.off)


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal, at most 100 columns."""

    def __init__(self, prog, width=None):
        # argparse would import shutil (and with it the compression modules) only to ask for the width.
        super().__init__(prog, max_help_position=32, width=width or _terminal_width())


def _terminal_width():
    try:
        columns = int(os.environ.get("COLUMNS", 0)) or os.get_terminal_size(1).columns
    except (ValueError, OSError):
        columns = 80
    return max(40, min(columns, 100) - 2)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises UsageError with one line, knows underscores, and says what was meant."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # argparse takes -0.5 for a value but -5e-1 for an unknown option.
        self._negative_number_matcher = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$", re.ASCII)

    def error(self, message):
        raise UsageError(message.removeprefix("argument "))

    def parse_known_args(self, args=None, namespace=None):
        if args is not None:
            args = self._with_hyphens(args)
        return super().parse_known_args(args, namespace)

    def parse_args(self, args=None, namespace=None):
        namespace, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(self._explain(unknown[0]))
        return namespace

    def _with_hyphens(self, args):
        """--output_map=a_b.mrc becomes --output-map=a_b.mrc: values, and everything after --, stay as they are."""
        args = list(args)
        for i, arg in enumerate(args):
            if arg == "--":
                break
            if arg.startswith("--"):
                name, equals, value = arg.partition("=")
                hyphenated = name.replace("_", "-")
                if hyphenated in self._option_string_actions:
                    args[i] = hyphenated + equals + value
        return args

    def _explain(self, arg):
        """What to say about an argument that no option takes."""
        if not arg.startswith("-"):
            return f"{arg}: not an option; maps are given with -i"
        from difflib import get_close_matches

        name = arg.partition("=")[0].replace("_", "-")
        shown = [flag for action in self._actions for flag in action.option_strings]
        close = get_close_matches(name, shown, n=1, cutoff=0.6)
        extended = [flag for flag in shown if flag.startswith(name)] if len(name) > 3 else []
        if len(extended) == 1:
            close = extended
        hint = f"did you mean {close[0]}?" if close else f"{PROGRAM} --help lists the options"
        return f"{arg}: unknown option; {hint}"


def _add(group, *flags, text, path=None, **kwargs):
    """Add one option; its default is that of the settings field of that name, and is shown where there is one.

    `path` is "file" or "directory" where the value is one: shell completion uses it.
    """
    dest = kwargs.get("dest") or next(flag for flag in flags if flag.startswith("--"))[2:].replace("-", "_")
    if dest in Settings.__dataclass_fields__:
        kwargs["default"] = getattr(Settings, dest)
    default = kwargs.get("default")
    if kwargs.get("action") is _Switch:
        kwargs.setdefault("default", False)
        default = {False: None, True: "on"}.get(kwargs["default"])
    if isinstance(default, float):
        default = f"{default:g}"
    if default is not None and default is not False:
        text += f" (default: {default})"
    group.add_argument(*flags, help=text, **kwargs).path = path


def build_parser():
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

    add = parser.add_argument_group("input")
    _add(add, "-i", "--input-map", metavar="MAP", nargs="+", path="file",
         text="maps to run on: .mrc .map .ccp4 .rec, plain, .gz or .bz2")
    _add(add, "--demo", action="store_true", text="run on the small map that ships with the package")
    _add(add, "--relion-classes", metavar="STAR", path="file",
         text="run on all classes of a RELION 3D classification (run_itNNN_model.star), on one common scale")
    _add(add, "--common-scale", action="store_true", text="put all maps given with -i on one common scale")
    _add(add, "--voxel-size", metavar="Å", type=_positive, text="use this voxel size instead of the header's")
    _add(add, "--rerun", metavar="JSON", path="file", text="repeat the run that wrote this occupy_NAME.json")

    add = parser.add_argument_group("output")
    _add(add, "-o", "--output-map", metavar="NAME", path="file",
         text="name of the modified map (default: out_<input file name>)")
    _add(add, "--output-dir", metavar="DIR", default=".", path="directory",
         text="where every file is written; made if missing")
    _add(add, "--save-all-maps", "--no-save-all-maps", action=_Switch,
         text="also write the low-passed map, the confidence and the modification applied")
    _add(add, "--plot", "--no-plot", action=_Switch, text="write solModel_NAME.png: histogram and solvent model")
    _add(add, "--save-chimerax", "--no-save-chimerax", action=_Switch, default=True,
         text="write chimX_NAME.cxc, which opens the results in ChimeraX")
    _add(add, "--min-vis-scale", metavar="S", type=_fraction, default=0.2,
         text="lowest scale, 0 to 1, that the ChimeraX colours show")
    _add(add, "--json", "--no-json", action=_Switch, default=True,
         text="write occupy_NAME.json: settings, results, checksums")
    _add(add, "--save-solvent-def", metavar="T", type=_fraction,
         text="write a mask of scale > T, 0 to 1, for --solvent-def")
    _add(add, "--subtraction-mask", action="store_true",
         text="write a soft mask of what attenuation or the sigmoid removes, for particle subtraction")

    add = parser.add_argument_group("estimation of the scale")
    _add(add, "-r", "--resolution", dest="resolution_angstrom", metavar="Å", type=_number,
         text="resolution of the worst content of interest; sets low-pass and kernel where they are not given")
    _add(add, "--lowpass-input", dest="lowpass_input_angstrom", metavar="Å", type=_number,
         text="low-pass before estimation (default: 6 * voxel size)")
    _add(add, "--kernel-size", metavar="PIX", type=_whole,
         text="diameter of the ball in voxels, odd (default: from the low-pass, 3 to 9)")
    _add(add, "--kernel-radius", metavar="PIX", type=_number,
         text="radius of the ball in voxels, may be fractional (default: low-pass / (2 * voxel size))")
    _add(add, "--tau", metavar="TAU", type=_number,
         text="quantile that stands for full scale, above 0 to 1 (default: from the ball)")
    _add(add, "--tile-size", dest="tile_size_angstrom", metavar="Å", type=_number,
         text="edge of the cubes searched for full scale")
    _add(add, "--noise-floor", metavar="VALUE", type=_noise_floor,
         text="what empty solvent reads, in the map's units; 0 for none (default: auto, measured)")
    _add(add, "--naive-normalisation", action="store_true", text="full scale is tau * maximum, without a search")
    _add(add, "--scale-mode", choices=SCALE_MODES,
         text="estimate on the low-passed map (occupancy) or on the map as it is (resolution)")

    add = parser.add_argument_group("solvent and confidence")
    _add(add, "--solvent-def", metavar="MASK", path="file",
         text="rough mask of what is not solvent; aids the solvent model only")
    _add(add, "--hedge-confidence", metavar="N", type=_number, text="raise the confidence to this power")
    _add(add, "--no-confidence", action="store_true", text="take everything for content: modify solvent, too")
    _add(add, "--exclude-solvent", "--retain-solvent", action=_Switch,
         text="set solvent to 0 in the modified map, or keep it (default: keep)")

    add = parser.add_argument_group("modification", "Each kind that is asked for gets its own map.")
    _add(add, "--amplify", "--no-amplify", action=_Switch, text="amplify partial occupancy: write out_NAME")
    _add(add, "--amplify-amount", metavar="A", type=_number,
         text="-1 to 1: 1 equalises, 0 does nothing, below 0 lowers partial occupancy further")
    _add(add, "--amplify-limit", metavar="S", type=_number,
         text="scale, 0 to 1, below which nothing is amplified")
    _add(add, "--amplify-gamma", metavar="G", type=_number,
         text="amplify by a power, 1 or more: write ampl_NAME; the larger, the closer to equalised")
    _add(add, "--attenuate-gamma", metavar="G", type=_number,
         text="attenuate partial occupancy by a power, 1 or more: write attn_NAME")
    _add(add, "--sigmoid-gamma", metavar="G", type=_number,
         text="amplify above the pivot and attenuate below it, 1 or more: write sigm_NAME")
    _add(add, "--pivot", metavar="S", type=_number, text="scale, 0 to 1, that the sigmoid leaves as it is")
    _add(add, "--lowpass-amplified", dest="lowpass_amplified_angstrom", metavar="Å", type=_number,
         text="low-pass of the modified maps (default: none)")
    _add(add, "--match-histogram", action="store_true", text="give the modified maps the input's histogram")

    add = parser.add_argument_group("occupancy of parts")
    _add(add, "--target-mask", metavar="MASK", nargs="+", path="file",
         text="report the occupancy, with its error, inside each of these masks")

    add = parser.add_argument_group("running")
    _add(add, "--threads", metavar="N", type=_positive_whole,
         text="threads to use (default: all that the job may use); never changes the results")
    _add(add, "--verbose", "--quiet", action=_Switch, dest="verbosity", on=1, off=-1, default=0,
         text="say more on the terminal, or only warnings and errors")
    _add(add, "--dry-run", action="store_true",
         text="check the inputs, say what would be written and the memory needed, and stop")
    _add(add, "--warm-up", action="store_true", text="compile once now, so that later runs start fast")
    _add(add, "--show-completion", metavar="SHELL", choices=SHELLS,
         text="print the completion script for bash, zsh, fish or tcsh")
    _add(add, "--install-completion", metavar="SHELL", choices=SHELLS,
         text="install it for the current user")
    add.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}",
                     help="print the version").path = None
    add.add_argument("-h", "--help", action="help", help="print this help").path = None
    return parser


# --- from arguments to what the program works with --------------------------------------------------------------


def parse(argv):
    """Parse the arguments and check that they can be obeyed together.

    Parameters
    ----------
    argv : list of str
        Arguments without the program's name.

    Returns
    -------
    argparse.Namespace
        One attribute for every option: the fields of `Settings` under their names there, the others under the
        option's name with underscores (``input_map`` and ``target_mask`` are lists of str or None, ``verbosity``
        is -1 for --quiet, 1 for --verbose, otherwise 0). Besides: ``given``, a frozenset of the names that the
        user gave, and ``command_line``, the list of arguments as they were typed.

    Raises
    ------
    UsageError
        If the arguments cannot be obeyed. --help and --version raise SystemExit(0), as argparse does.
    """
    parser = build_parser()
    # Every attribute starts as a marker, so that what the user gave, even if equal to the default, can be told.
    namespace = argparse.Namespace(**{action.dest: _UNSET for action in parser._actions
                                      if action.default is not argparse.SUPPRESS})
    namespace = parser.parse_args(argv, namespace)
    given = frozenset(name for name, value in vars(namespace).items() if value is not _UNSET)
    for name in vars(namespace).keys() - given:
        setattr(namespace, name, parser.get_default(name))
    namespace.given = given
    namespace.command_line = list(argv)
    _check(namespace)
    return namespace


def _check(namespace):
    """Raise UsageError for options that contradict each other; ranges are the business of Settings."""
    if any(getattr(namespace, errand) for errand in ERRANDS):
        return
    sources = [option for name, option in SOURCES if getattr(namespace, name)]
    if not sources:
        raise UsageError(f"no map given: use -i MAP, or try {PROGRAM} --demo")
    if len(sources) > 1:
        raise UsageError(f"{' and '.join(sources)} cannot be given together: each says what to run on")
    maps = namespace.input_map or []
    if namespace.output_map is not None and (len(maps) > 1 or namespace.relion_classes):
        raise UsageError("-o/--output-map names the output of one map; leave it out to run on several")
    if namespace.common_scale and len(maps) < 2 and "-i" in sources:
        raise UsageError("--common-scale needs at least two maps after -i")
    for name in ("input_map", "output_map", "output_dir", "solvent_def", "relion_classes", "rerun"):
        value = getattr(namespace, name)
        if "" in (value if isinstance(value, list) else [value]):
            raise UsageError(f"--{name.replace('_', '-')}: the name is empty")


def settings_from(namespace, recorded=None):
    """Return the validated Settings of a parsed command line.

    Parameters
    ----------
    namespace : argparse.Namespace
        What `parse` returned.
    recorded : dict, optional
        Fields of the Settings of an earlier run. They take the place of the defaults; what the user gave on
        the command line wins over them.

    Raises
    ------
    UsageError
        If a value is out of its range.
    """
    values = {name: getattr(namespace, name) for name in Settings.__dataclass_fields__}
    if recorded is not None:
        values.update((name, value) for name, value in recorded.items() if name not in namespace.given)
    return Settings(**values)
