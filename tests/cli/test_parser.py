"""The command line: options and defaults, errors and exit statuses, completion. No kernel runs here."""

import contextlib
import dataclasses
import io
import os
import shutil
import signal
import subprocess
import sys
import types
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import occupy_jit
from occupy_jit.cli import completion
from occupy_jit.cli import main as cli_main
from occupy_jit.cli.argument_parser import HelpFormatter
from occupy_jit.cli.parser import absolute, build_parser, parse
from occupy_jit.errors import InputError, OccupyError, UsageError
from occupy_jit.settings import Options, Settings

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Documented options as typed, with a value if needed, and the attribute that they set.
OPTIONS = {
    "--input-map": (["a.mrc", "b.mrc"], "input_map", ("a.mrc", "b.mrc")),
    "--output-map": (["x.mrc"], "output_map", "x.mrc"),
    "--output-dir": (["d"], "output_dir", "d"),
    "--resolution": (["8"], "resolution_angstrom", 8.0),
    "--lowpass-input": (["7.5"], "lowpass_input_angstrom", 7.5),
    "--kernel-size": (["7"], "kernel_size", 7),
    "--kernel-radius": (["2.5"], "kernel_radius", 2.5),
    "--tau": (["0.97"], "tau", 0.97),
    "--tile-size": (["20"], "tile_size_angstrom", 20.0),
    "--noise-floor": (["0"], "noise_floor", 0.0),
    "--naive-normalisation": ([], "naive_normalisation", True),
    "--separate-flexibility": ([], "separate_flexibility", True),
    "--scale-mode": (["resolution"], "scale_mode", "resolution"),
    "--amplify": ([], "amplify", True),
    "--no-amplify": ([], "amplify", False),
    "--amplify-amount": (["-0.5"], "amplify_amount", -0.5),
    "--amplify-limit": (["0.1"], "amplify_limit", 0.1),
    "--amplify-gamma": (["5"], "amplify_gamma", 5.0),
    "--attenuate-gamma": (["3"], "attenuate_gamma", 3.0),
    "--sigmoid-gamma": (["4"], "sigmoid_gamma", 4.0),
    "--pivot": (["0.3"], "pivot", 0.3),
    "--exclude-solvent": ([], "exclude_solvent", True),
    "--retain-solvent": ([], "exclude_solvent", False),
    "--solvent-def": (["m.mrc"], "solvent_def", "m.mrc"),
    "--hedge-confidence": (["2"], "hedge_confidence", 2.0),
    "--no-confidence": ([], "no_confidence", True),
    "--plain-factors": ([], "plain_factors", True),
    "--lowpass-amplified": (["4"], "lowpass_amplified_angstrom", 4.0),
    "--match-histogram": ([], "match_histogram", True),
    "--class-density": (["own"], "class_density", "own"),
    "--relion-classes": (["s.star"], "relion_classes", "s.star"),
    "--common-scale": ([], "common_scale", True),
    "--reference-mask": (["r.mrc"], "reference_mask", "r.mrc"),
    "--nucleic-mask": (["n.mrc"], "nucleic_mask", "n.mrc"),
    "--target-mask": (["a.mrc", "b.mrc"], "target_mask", ("a.mrc", "b.mrc")),
    "--model": (["m.cif"], "model", "m.cif"),
    "--parts": (["x=A:1-9", "y=B"], "parts", ("x=A:1-9", "y=B")),
    "--residues": ([], "residues", True),
    "--reference-part": (["A", "B"], "reference_part", ("A", "B")),
    "--b-factors": (["flat"], "b_factors", "flat"),
    "--assembly": (["1"], "assembly", "1"),
    "--states": (["5"], "states", 5),
    "--particles": (["l.pkl", "p.star"], "particles", ("l.pkl", "p.star")),
    "--select": (["A>0.5"], "select", "A>0.5"),
    "--half-maps": (["auto"], "half_maps", ("auto",)),
    "--save-error": ([], "save_error", True),
    "--subtraction-mask": ([], "subtraction_mask", True),
    "--save-solvent-def": (["0.2"], "save_solvent_def", 0.2),
    "--min-vis-scale": (["0.3"], "min_vis_scale", 0.3),
    "--save-all-maps": ([], "save_all_maps", True),
    "--no-save-all-maps": ([], "save_all_maps", False),
    "--plot": ([], "plot", True),
    "--no-plot": ([], "plot", False),
    "--report": ([], "report", True),
    "--no-report": ([], "report", False),
    "--report-paths": ([], "report_paths", True),
    "--save-chimerax": ([], "save_chimerax", True),
    "--no-save-chimerax": ([], "save_chimerax", False),
    "--json": ([], "json", True),
    "--no-json": ([], "json", False),
    "--voxel-size": (["1.06"], "voxel_size", 1.06),
    "--threads": (["2"], "threads", 2),
    "--verbose": ([], "verbosity", 1),
    "--quiet": ([], "verbosity", -1),
    "--dry-run": ([], "dry_run", True),
    "--demo": ([], "demo", True),
    "--warm-up": ([], "warm_up", True),
    "--rerun": (["o.json"], "rerun", "o.json"),
    "--emdb": (["11007", "EMD-11008"], "emdb", ("11007", "EMD-11008")),
    "--emdb-dir": (["d"], "emdb_dir", "d"),
    "--jobs": (["4"], "jobs", 4),
    "--resume": ([], "resume", True),
    "--cluster": (["tcp://h:1"], "cluster", "tcp://h:1"),
    "--cluster-jobs": (["3"], "cluster_jobs", 3),
    "--array": ([], "array", True),
    "--collect": (["d"], "collect", "d"),
    "--show-completion": (["bash"], "show_completion", "bash"),
    "--install-completion": (["fish"], "install_completion", "fish"),
}
SOURCES = ("--input-map", "--demo", "--relion-classes", "--rerun", "--emdb")


# Without these they could have no effect.
NEEDED = {"--output-map": ["--amplify"], "--amplify-amount": ["--amplify"], "--amplify-limit": ["--amplify-gamma", "2"],
          "--pivot": ["--sigmoid-gamma", "3"], "--plain-factors": ["--amplify"], "--lowpass-amplified": ["--amplify"],
          "--match-histogram": ["--attenuate-gamma", "2"], "--b-factors": ["--model", "m.cif"],
          "--subtraction-mask": ["--attenuate-gamma", "2"], "--report-paths": ["--report"],
          "--emdb-dir": ["--emdb", "1"]}


def arguments(option, values, spelling=None):
    """A valid command line with one option."""
    maps = [] if option in SOURCES else ["-i", "a", "b"] if option == "--common-scale" else ["-i", "a"]
    if option == "--class-density":
        maps = ["--relion-classes", "s.star"]
    of_states = ["--states", "--model", "m.cif"]
    needs = {"--cluster-jobs": ["--cluster", "slurm"], "--states": of_states[1:], "--particles": of_states,
             "--select": of_states}.get(option, [])
    return [spelling or option, *values, *needs, *maps]


@pytest.fixture
def pipeline(monkeypatch):
    """A replacement for the run of maps: `calls` collects its arguments; `result` is returned or raised."""
    fake = types.ModuleType("occupy_jit.cli.run")
    fake.calls, fake.result = [], 0

    def run(settings, options, console):
        fake.calls.append((settings, options))
        if isinstance(fake.result, BaseException):
            raise fake.result
        return fake.result

    fake.run = run
    monkeypatch.setitem(sys.modules, "occupy_jit.cli.run", fake)
    monkeypatch.setattr(occupy_jit.cli, "run", fake, raising=False)
    return fake


# --- options ----------------------------------------------------------------------------------------------------


def test_every_option_is_promised_and_every_promise_is_an_option():
    flags = {flag for action in build_parser()._actions for flag in action.option_strings if flag.startswith("--")}
    assert flags == set(OPTIONS) | {"--help", "--version"}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_sets_its_attribute_in_all_its_spellings(option):
    values, name, wanted = OPTIONS[option]
    underscored = "--" + option[2:].replace("-", "_")
    spellings = [arguments(option, values), arguments(option, values, underscored)]
    if len(values) == 1:
        spellings += [arguments(option, [], f"{option}={values[0]}"),
                      arguments(option, [], f"{underscored}={values[0]}")]
    for argv in spellings:
        argv = [word for word in argv if option != "--emdb-dir" or word not in ("-i", "a")] + NEEDED.get(option, [])
        settings, options = parse(argv)
        if option != "--rerun":
            assert getattr(settings if hasattr(settings, name) else options, name) == wanted
        assert name in options.given
        assert options.command_line == ("OccuPy", *argv)


@pytest.mark.parametrize("option", sorted(NEEDED))
def test_an_option_that_can_have_no_effect_is_refused(option):
    """Also with its default value, since an explicit option has a purpose."""
    values, name, _ = OPTIONS[option]
    with pytest.raises(UsageError, match=f"{option}: has no effect without"):
        parse(arguments(option, values))
    if name in {field.name for field in dataclasses.fields(Settings)} and name != "tile_size_angstrom":
        value = 0.3 if values else True
        with pytest.raises(UsageError, match="has no effect without"):
            Settings(**{name: value})


def test_other_ways_to_have_no_effect():
    for words, option in ((["--amplify", "--pivot", "0.3"], "--pivot"),
                          (["--attenuate-gamma", "2", "--amplify-limit", "0.1"], "--amplify-limit"),
                          (["--naive-normalisation", "--tile-size", "20"], "--tile-size"),
                          (["--no-amplify", "--amplify-amount", "1"], "--amplify-amount"),
                          (["--no-save-chimerax", "--min-vis-scale", "0.3"], "--min-vis-scale"),
                          (["--amplify", "--subtraction-mask"], "--subtraction-mask")):
        with pytest.raises(UsageError, match=f"{option}: has no effect without"):
            parse(["-i", "a", *words])
    made = parse(["--relion-classes", "s.star", "--amplify-amount", "-0.5"])[0]
    assert made.amplify and made.amplify_amount == -0.5, "classes are amplified unless something else is asked for"
    with pytest.raises(UsageError, match="has no effect"):
        parse(["--relion-classes", "s.star", "--sigmoid-gamma", "2", "--amplify-amount", "-0.5"])


def test_defaults_are_those_of_the_settings():
    argv = ["-i", "map.mrc"]
    assert parse(argv) == (Settings(), Options(input_map=("map.mrc",), given=frozenset({"input_map"}),
                                               command_line=("OccuPy", *argv)))


def test_every_field_has_an_option():
    reachable = {name for _, name, _ in OPTIONS.values()} | {"given", "command_line"}
    assert {field.name for cls in (Settings, Options) for field in dataclasses.fields(cls)} == reachable


@pytest.mark.parametrize("words, reason", [
    ("-i a --jobs 0", "--jobs 0"), ("-i a --jobs 2 --cluster tcp://h:1", "cannot be given together"),
    ("-i a --cluster slurm", "--cluster-jobs N"), ("-i a --cluster-jobs 3", "needs --cluster slurm"),
    ("-i a --array --cluster tcp://h:1", "cannot be given together"), ("-i a --resume --no-json", "needs the records"),
    ("-i a b --common-scale --resume", "is for independent maps"),
    ("--relion-classes m.star --array", "is for independent maps"),
    ("-i a --emdb 1007", "cannot be given together"), ("--emdb 1007 1008 -o x.mrc", "names the output of one map"),
])
def test_ways_to_run_many_maps_that_contradict_each_other(words, reason):
    with pytest.raises(UsageError, match=reason):
        parse(words.split())


def test_names_for_workers_elsewhere_are_absolute():
    options = parse("-i a b --output-dir d --target-mask m".split())[1]
    found = absolute(options)
    here = os.getcwd()
    assert found.input_map == (os.path.join(here, "a"), os.path.join(here, "b"))
    assert (found.output_dir, found.target_mask) == (os.path.join(here, "d"), (os.path.join(here, "m"),))
    assert found.solvent_def is None and found.cluster == options.cluster


def test_a_default_given_explicitly_counts_as_given():
    assert "amplify_limit" in parse(["-i", "a", "--amplify", "--amplify-limit", "0.05"])[1].given


def test_underscores_in_values_and_after_two_hyphens_stay():
    assert parse(["-i", "a", "--amplify", "--output_map=my_map_1.mrc"])[1].output_map == "my_map_1.mrc"
    with pytest.raises(UsageError, match="--no_such_thing"):
        parse(["-i", "a", "--no_such_thing=x"])


@pytest.mark.parametrize("text", ["-1", "-0.5", "-.5", "-5e-1", "-1E0"])
def test_negative_numbers_are_values(text):
    assert parse(["-i", "a", "--amplify", "--amplify-amount", text])[0].amplify_amount == float(text)


@given(st.floats(-1, 1))
@settings(deadline=None, max_examples=50)
def test_numbers_arrive_exactly(value):
    assert parse(["-i", "a", "--amplify", "--amplify-amount", repr(value)])[0].amplify_amount == value
    assert parse(["-i", "a", "--amplify", f"--amplify_amount={value!r}"])[0].amplify_amount == value


def test_the_last_of_a_pair_wins():
    assert parse(["-i", "a", "--amplify", "--no-amplify"])[0].amplify is False
    assert parse(["-i", "a", "--retain-solvent", "--exclude-solvent"])[0].exclude_solvent is True


def test_noise_floor_auto_is_measured():
    assert parse(["-i", "a", "--noise-floor", "auto"])[0].noise_floor is None
    assert parse(["-i", "a", "--noise-floor", "local"])[0].noise_floor == "local"


# --- help and version -------------------------------------------------------------------------------------------


def test_help_shows_every_option_once_and_no_underscores():
    text = build_parser().format_help()
    words = [word.strip(",") for word in text.split() if word.startswith("--")]
    for option in OPTIONS:
        assert option in words, option
    assert not [word for word in words if "_" in word]


def test_help_states_the_defaults_of_the_settings():
    parser = build_parser()
    parser.formatter_class = lambda prog: HelpFormatter(prog, width=500)
    lines = {line.split()[0]: line for line in parser.format_help().splitlines() if line.startswith("  --")}
    for option, value in (("--tile-size", "30"), ("--amplify-limit", "0.05"), ("--amplify-amount", "1"),
                          ("--pivot", "0.5"), ("--scale-mode", "occupancy"), ("--json,", "on")):
        lines_of_option = parser.format_help().split(f"  {option}", 1)[1].split("\n  -", 1)[0]
        assert f"(default: {value})" in lines_of_option, option
    assert "--tau" in lines


@pytest.mark.parametrize("columns", ["1", "40", "100", "1000", "wide", ""])
def test_help_fits_any_terminal(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    text = build_parser().format_help()
    assert max(len(line) for line in text.split("examples:")[0].splitlines()) <= 100


def test_help_and_version_exit_0_and_load_nothing(pipeline):
    for option, word in (("--help", "usage: OccuPy -i MAP"), ("-h", "--amplify"), ("--version", "OccuPy ")):
        code = (f"import sys; from occupy_jit.cli.main import main; status = main([{option!r}])\n"
                "print(status, [m for m in ('numpy', 'numba', 'mrcfile', 'shtab', 'importlib.metadata') "
                "if m in sys.modules])")
        ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert word in ran.stdout and ran.stderr == ""
        assert ran.stdout.splitlines()[-1] == "0 []"
    assert cli_main.main(["--version"]) == 0 and not pipeline.calls


def test_parser_needs_the_standard_library_only():
    code = ("import sys; before = set(sys.modules); import occupy_jit.cli.parser\n"
            "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
            "print(sorted(new - set(sys.stdlib_module_names) - {'occupy_jit'}))")
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_help_on_a_terminal_without_the_letter():
    ran = subprocess.run([sys.executable, "-m", "occupy_jit", "--help"], cwd=ROOT, capture_output=True, text=True,
                         env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (ran.returncode, ran.stderr) == (0, "") and "\\xc5" in ran.stdout


# --- errors -----------------------------------------------------------------------------------------------------

WRONG = [
    (["--amplify"], "no map given"),
    (["-i"], "-i/--input-map"),
    (["-i", ""], "empty"),
    (["map.mrc"], "map.mrc"),
    (["-i", "a", "--ampify"], "did you mean --amplify?"),
    (["-i", "a", "--amplify_limt=0.1"], "did you mean --amplify-limit?"),
    (["-i", "a", "--thr", "3"], "did you mean --threads?"),  # no abbreviations
    (["-i", "a", "--amp"], "unknown option"),
    (["-i", "a", "--zzz"], "--help"),
    (["-i", "a", "--amplify=yes"], "--amplify"),
    (["-i", "a", "--kernel-size", "six"], "'six' is not a whole number"),
    (["-i", "a", "--kernel-size", "6.5"], "'6.5' is not a whole number"),
    (["-i", "a", "--kernel-size", "6"], "--kernel-size"),
    (["-i", "a", "--kernel-size", "-3"], "--kernel-size"),
    (["-i", "a", "--amplify-amount", "1.5"], "--amplify-amount"),
    (["-i", "a", "--amplify-amount", "nan"], "--amplify-amount"),
    (["-i", "a", "--amplify-amount=-inf"], "--amplify-amount -inf: must be between"),
    (["-i", "a", "--amplify-amount"], "expected one argument"),
    (["-i", "a", "--amplify-limit", "2"], "--amplify-limit"),
    (["-i", "a", "--lowpass-input", "0"], "--lowpass-input"),
    (["-i", "a", "--lowpass-input", "x"], "'x' is not a number"),
    (["-i", "a", "--noise-floor", "automatic"], "neither auto, local nor a number"),
    (["-i", "a", "--scale-mode", "local"], "--scale-mode"),
    (["-i", "a", "--threads", "0"], "--threads"),
    (["-i", "a", "--voxel-size", "-1"], "--voxel-size"),
    (["-i", "a", "--voxel-size", "nan"], "--voxel-size"),
    (["-i", "a", "--save-solvent-def", "1.1"], "--save-solvent-def"),
    (["-i", "a", "--min-vis-scale", "nan"], "--min-vis-scale"),
    (["-i", "a", "--demo"], "-i and --demo"),
    (["--rerun", "j", "--relion-classes", "s"], "--relion-classes and --rerun"),
    (["-i", "a", "b", "-o", "c"], "-o/--output-map"),
    (["-i", "a", "--common-scale"], "at least two maps"),
    (["-i", "a", "--class-density", "own"], "needs --relion-classes"),
    (["--show-completion", "cmd"], "--show-completion"),
]


@pytest.mark.parametrize(("argv", "said"), WRONG)
def test_wrong_usage_is_one_line_and_status_2(argv, said, pipeline, capsys):
    assert cli_main.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("OccuPy: error: ") and err.count("\n") == 1
    assert said in err
    assert not pipeline.calls


@pytest.mark.parametrize("option", [option for option, (_, _, wanted) in OPTIONS.items() if isinstance(wanted, float)])
def test_no_number_may_be_nan(option, pipeline, capsys):
    assert cli_main.main(["-i", "a", option, "nan"]) == 2
    assert option in capsys.readouterr().err and not pipeline.calls


def test_no_arguments_give_a_hint_and_status_2(pipeline, capsys):
    assert cli_main.main([]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "usage: OccuPy -i MAP" in err and "--demo" in err and len(err.splitlines()) <= 3


WORDS = st.one_of(st.sampled_from(sorted(OPTIONS)), st.sampled_from(["-i", "-o", "-r", "--", "auto", "1", "-1"]),
                  st.text(max_size=6), st.text(max_size=4).map("--{}".format))


@given(st.lists(WORDS, max_size=6))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_arguments_end_in_a_status(pipeline, monkeypatch, tmp_path, argv):
    """No argument list ends in a traceback, and no invalid one starts a run."""
    monkeypatch.chdir(tmp_path)  # "--o X" is a directory that RELION is told of the failure in
    monkeypatch.setattr(completion, "run", lambda show, install: 0)
    monkeypatch.chdir(tmp_path)  # an argument may name a directory to write to
    pipeline.calls.clear()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli_main.main(argv)
    assert status in (0, 2)
    assert "internal error" not in err.getvalue()
    assert status == 0 or (not pipeline.calls and err.getvalue())


# --- exit statuses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 3])
def test_the_pipelines_status_is_the_programs(status, pipeline):
    pipeline.result = status
    assert cli_main.main(["-i", "a", "--tau", "0.9"]) == status
    (made, options), = pipeline.calls
    assert options.input_map == ("a",) and made == Settings(tau=0.9)


@pytest.mark.parametrize(("error", "status", "said"), [
    (InputError("a.mrc: no such file"), 3, "OccuPy: error: a.mrc: no such file\n"),
    (UsageError("--x: bad"), 2, "OccuPy: error: --x: bad\n"),
    (OccupyError("disk full"), 1, "OccuPy: error: disk full\n"),
    (KeyboardInterrupt(), 130, "OccuPy: error: interrupted\n"),
    (MemoryError(), 1, "OccuPy: error: not enough memory; --dry-run says how much a run needs\n"),
    (OSError(28, "No space left on device", "out.mrc"), 1, "OccuPy: error: out.mrc: No space left on device\n"),
    (BrokenPipeError(), 1, ""),
    (ZeroDivisionError("two\nlines"), 1, "OccuPy: internal error: ZeroDivisionError: two lines "
                                         "(run again with --verbose for the traceback)\n"),
])
def test_exceptions_become_statuses_and_one_line(error, status, said, pipeline, capsys):
    pipeline.result = error
    assert cli_main.main(["-i", "a"]) == status
    assert capsys.readouterr() == ("", said)


def test_a_traceback_is_for_those_who_ask(pipeline, capsys):
    pipeline.result = AssertionError("what")
    said = "OccuPy: internal error: AssertionError: what (run again with --verbose for the traceback)\n"
    assert cli_main.main(["-i", "a"]) == 1
    assert capsys.readouterr().err == said
    assert cli_main.main(["-i", "a", "--verbose"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback") and err.endswith(said)


def test_warnings_are_one_line_each_and_repeat(pipeline, capsys):
    def run(settings, options, console):
        warnings.simplefilter("always")
        for _ in range(2):  # two maps with the same fault: both are reported
            warnings.warn("solvent is flat", stacklevel=1)
        return 0

    pipeline.run = run
    assert cli_main.main(["-i", "a"]) == 0
    assert capsys.readouterr().err == 2 * "OccuPy: warning: solvent is flat\n"


CHILD = """
import sys, time, types
import occupy_jit.cli
from occupy_jit.__main__ import entry
fake = types.ModuleType("occupy_jit.cli.run")
def run(settings, options, console):
    print("ready", flush=True)
    time.sleep(60)
fake.run = run
sys.modules["occupy_jit.cli.run"] = occupy_jit.cli.run = fake
sys.argv = ["OccuPy", "-i", "a"]
sys.exit(entry())
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_the_run_with_their_status(number, status):
    with subprocess.Popen([sys.executable, "-c", CHILD], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as child:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        _, err = child.communicate(timeout=120)
    assert child.returncode == status
    assert err.startswith("OccuPy: error: ") and err.count("\n") == 1


EARLY = """
import importlib.abc, os, signal, sys
wanted = sys.argv.pop()
class Interrupts(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
from occupy_jit.__main__ import entry
sys.argv += ["-i", "absent.mrc"]
sys.exit(entry())
"""


@pytest.mark.parametrize(("module", "status"), [
    ("occupy_jit.cli.main", -signal.SIGINT), ("occupy_jit.cli.parser", -signal.SIGINT),
    ("occupy_jit.settings", -signal.SIGINT), ("occupy_jit.cli.console", 130), ("numpy", 130)])
def test_an_interrupt_while_the_program_starts_is_no_traceback(module, status):
    """Before handlers are set the system ends the process; a shell reports 130, too."""
    ran = subprocess.run([sys.executable, "-c", EARLY, module], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == status
    assert ran.stderr in ("", "OccuPy: error: interrupted; nothing incomplete was left\n")


def test_a_reader_that_goes_away_is_no_traceback():
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run([sys.executable, "-m", "occupy_jit", "--help"], cwd=ROOT, stdout=write,
                         stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert ran.stderr == "" and ran.returncode in (0, 1)  # argparse itself ignores some failed writes


# --- completion -------------------------------------------------------------------------------------------------

SHELLS = ("bash", "zsh", "fish", "tcsh")


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "BASH_COMPLETION_USER_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts_know_every_option(shell, capsys):
    pytest.importorskip("shtab")
    assert cli_main.main(["--show-completion", shell]) == 0
    text = capsys.readouterr().out
    for option in OPTIONS:
        assert option.lstrip("-") in text, option


def test_bash_completes_options_values_and_files(tmp_path):
    pytest.importorskip("shtab")
    if not shutil.which("bash"):
        pytest.skip("bash is not installed: the completion script was not tried out")
    for name in ("some_map.mrc", "a map.map.GZ", "sometimes.txt"):
        (tmp_path / name).touch()
    script = completion.script("bash") + (
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()\n'
        '_shtab_OccuPy OccuPy "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"\n'
        'printf "%s\\n" "${COMPREPLY[@]}"\n')
    for words, wanted in ((["--kernel-s"], ["--kernel-size"]), (["--scale-mode", ""], ["occupancy", "resolution"]),
                          (["--solvent-def", "some"], ["some_map.mrc"]),
                          (["-i", "some"], ["some_map.mrc"]), (["--half-maps", "x.mrc", "a"], ["a map.map.GZ"]),
                          (["--target-mask", "x", "y", "s"], ["some_map.mrc"]), (["-i", "somet"], ["sometimes.txt"]),
                          (["--model", "somet"], ["sometimes.txt"]), (["-i", "x", "--retain"], ["--retain-solvent"])):
        ran = subprocess.run(["bash", "-c", script, "bash", "OccuPy", *words], cwd=tmp_path, capture_output=True,
                             text=True)
        assert ran.stdout.splitlines() == wanted, ran.stderr


@pytest.mark.parametrize("command", ["OccuPy", "occupy-jit"])
@pytest.mark.parametrize("option", ["--half-maps", "-i", "--target-mask"])
def test_fish_completes_the_second_map_as_well(option, command, tmp_path):
    pytest.importorskip("shtab")
    if not shutil.which("fish"):
        pytest.skip("fish is not installed: the completion script was not tried out")
    (tmp_path / "some_map.mrc").touch()
    (tmp_path / "script").write_text(completion.script("fish"))
    ran = subprocess.run(["fish", "-N", "-c", f"source script; complete -C '{command} {option} a.mrc some'"],
                         cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)})
    assert ran.stdout.split() == ["some_map.mrc"], ran.stderr


def test_zsh_takes_further_maps_and_both_commands():
    """A second file is an argument without an option to zsh, which completes it as this rule says."""
    pytest.importorskip("shtab")
    text = completion.script("zsh")
    assert text.startswith("#compdef OccuPy occupy-jit\n")
    assert "_shtab_OccuPy_options+=('*:file:_files')" in text


@pytest.mark.parametrize("shell", SHELLS)
def test_both_commands_are_completed(shell):
    pytest.importorskip("shtab")
    lines = completion.script(shell).splitlines()
    assert any("complet" in line.lower() or "compdef" in line for line in lines if "occupy-jit" in line)


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_installed_once_and_replaces_only_its_own(shell, home, capsys):
    pytest.importorskip("shtab")
    command = ["--install-completion", shell]
    assert cli_main.main(command) == 0
    path = _installed(home, shell)
    assert f"{path} written" in capsys.readouterr().out
    assert path.read_text() == completion.script(shell)
    assert cli_main.main(command) == 0
    assert "is up to date" in capsys.readouterr().out
    path.write_text(f"{completion.MARK}\nof an older version\n")
    assert cli_main.main(command) == 0
    assert "replaced" in capsys.readouterr().out
    path.write_text("my own\n")
    assert cli_main.main(command) == 1
    assert path.read_text() == "my own\n"
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("shell", SHELLS)
def test_without_a_name_completion_is_installed_for_the_users_shell(shell, home, monkeypatch, capsys):
    pytest.importorskip("shtab")
    monkeypatch.setenv("SHELL", f"/usr/local/bin/{shell}")
    assert cli_main.main(["--install-completion"]) == 0
    path = _installed(home, shell)
    assert path.read_text() == completion.script(shell) and f"{path} written" in capsys.readouterr().out


def _installed(home, shell):
    """The file of the command, and for shells that search by name also that of the other command."""
    found = sorted(path for path in home.rglob("*") if path.is_file())
    stems = [path.stem.lstrip("_") for path in found]
    assert stems == (["OccuPy", "occupy-jit"] if shell in ("bash", "fish") else ["OccuPy"])
    assert len({path.read_text() for path in found}) == 1
    return found[0]


@pytest.mark.parametrize("shell", [None, "", "/bin/xonsh"])
def test_a_shell_that_is_not_known_is_refused_with_those_that_are(shell, home, monkeypatch, capsys):
    if shell is None:
        monkeypatch.delenv("SHELL", raising=False)
    else:
        monkeypatch.setenv("SHELL", shell)
    assert cli_main.main(["--install-completion"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("OccuPy: error: --install-completion: ") and err.count("\n") == 1
    assert all(name in err for name in SHELLS) and list(home.iterdir()) == []


def test_completion_into_a_place_that_cannot_be(home, capsys):
    pytest.importorskip("shtab")
    (home / ".local").write_text("a file where a directory should be")
    assert cli_main.main(["--install-completion", "bash"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("OccuPy: error: ") and err.count("\n") == 1


def test_completion_without_shtab_names_the_package(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli_main.main(["--show-completion", "bash"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and f"{sys.executable} -m pip install shtab" in err and err.count("\n") == 1
