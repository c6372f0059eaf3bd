"""What the package promises about itself: the manual page, dependencies, entry points, layers."""

import ast
import configparser
import importlib
import os
import re
import shutil
import subprocess
import sys

import pytest

from occupy_jit.cli.parser import build_parser

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "man", "OccuPy.1")


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def modules():
    """(dotted name, syntax tree) of every file of the package."""
    for directory, _, files in os.walk(os.path.join(ROOT, "occupy_jit")):
        for file in sorted(files):
            if file.endswith(".py"):
                path = os.path.relpath(os.path.join(directory, file), ROOT)
                name = path[:-3].replace(os.sep, ".")
                # a SyntaxError here is syntax newer than the oldest Python that setup.cfg promises
                yield name, ast.parse(read(path), path, feature_version=(3, 10))


def imports(module, tree, everywhere):
    """Full names of what a module imports: at its top level, or everywhere in it."""
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = module.split(".")[:-node.level] if node.level else []
            origin += [node.module] if node.module else []
            yield from (".".join([*origin, alias.name]) for alias in node.names)


@pytest.fixture(scope="module")
def setup():
    config = configparser.ConfigParser()
    config.read_string(read("setup.cfg"))
    return config


def names(requirements):
    return {re.match(r"[\w-]+", line).group() for line in requirements.strip().splitlines()}


# --- manual page ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["40", "200"])
def test_the_manual_page_is_in_step_with_the_parser(columns):
    """The committed page is what the parser and the sections give today, on any day and on any terminal."""
    pytest.importorskip("argparse_manpage", reason="argparse-manpage is not installed: manual page NOT checked")
    environment = {**os.environ, "COLUMNS": columns, "SOURCE_DATE_EPOCH": "0"}
    ran = subprocess.run([sys.executable, os.path.join("man", "build_page.py"), "--check"], cwd=ROOT,
                         capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_check_of_the_page_can_fail(tmp_path):
    pytest.importorskip("argparse_manpage", reason="argparse-manpage is not installed: manual page NOT checked")
    shutil.copytree(os.path.join(ROOT, "man"), tmp_path / "man")
    for name in ("cli", "queries"):
        shutil.copytree(os.path.join(ROOT, "occupy_jit", name), tmp_path / "occupy_jit" / name)
    for name in ("__init__.py", "errors.py", "modifications.py", "selections.py", "settings.py"):
        shutil.copy(os.path.join(ROOT, "occupy_jit", name), tmp_path / "occupy_jit")
    parser = tmp_path / "occupy_jit" / "cli" / "parser.py"
    parser.write_text(parser.read_text().replace("rough mask of", "precise mask of"))
    ran = subprocess.run([sys.executable, "man/build_page.py", "--check"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 1 and "+precise mask of" in ran.stdout and "out of step" in ran.stderr


def test_the_manual_page_describes_every_option_and_section():
    text = read("man/OccuPy.1").replace(r"\-", "-")
    for action in build_parser()._actions:
        for flag in action.option_strings:
            if flag not in ("-h", "--help"):
                assert rf"\fB{flag}\fR" in text, flag
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "FILES", "EXIT STATUS", "ENVIRONMENT",
                    "CITATION"):
        assert text.count(f"\n.SH {section}\n") == 1, section
    for variable in ("OCCUPY_CACHE_DIR", "XDG_CACHE_HOME", "SLURM_CPUS_PER_TASK", "NUMBA_NUM_THREADS",
                     "OMP_WAIT_POLICY", "OCCUPY_EMDB_DIR", "OCCUPY_EMDB_URL"):
        assert f".B {variable}\n" in text


@pytest.mark.parametrize("command", [["mandoc", "-Tlint", "-Wwarning"], ["groff", "-man", "-ww", "-z"]])
def test_the_manual_page_renders_without_a_complaint(command):
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed: it did NOT check the manual page")
    ran = subprocess.run([*command, PAGE], capture_output=True, text=True)
    assert ran.stdout + ran.stderr == ""


# --- packaging --------------------------------------------------------------------------------------------------


def test_console_scripts_lead_to_functions(setup):
    scripts = dict(line.split(" = ") for line in setup["options.entry_points"]["console_scripts"].strip().splitlines())
    assert set(scripts) == {"OccuPy", "occupy-jit"}
    for target in scripts.values():
        module, function = target.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_extra_all_is_what_a_user_may_need(setup):
    extras = setup["options.extras_require"]
    assert names(extras["all"]) == set().union(*(names(extras[name]) for name in (
        "plot", "star", "model", "completion", "cluster")))
    assert names(extras["all"]) <= names(extras["test"])


def test_what_is_imported_is_declared(setup):
    """At the top of a module only what every installation has; extras only where they are used."""
    core = names(setup["options"]["install_requires"]) | {"llvmlite", "markupsafe"}  # numba and jinja2 bring their own
    extras = {name.replace("-", "_") for name in names(setup["options.extras_require"]["all"])}
    by_entry_point = {"occupy_jit.cli.pipeliner_jobs": {"pipeliner"}}  # imported by ccpem-pipeliner alone
    for module, tree in modules():
        for everywhere, allowed in ((False, core), (True, core | extras)):
            found = {name.partition(".")[0] for name in imports(module, tree, everywhere)}
            found -= set(sys.stdlib_module_names) | {"occupy_jit"}
            found -= by_entry_point.get(module, set())
            assert found <= allowed, f"{module} imports {found - allowed}"


def test_imports_run_downwards():
    """Kernels know nothing of the package but the machine, and nothing below the command line knows there is one."""
    for module, tree in modules():
        used = {name for name in imports(module, tree, True) if name.startswith("occupy_jit.")}
        if module.startswith("occupy_jit.kernels"):
            below = ("occupy_jit.kernels", "occupy_jit.machine", "occupy_jit.__version__")
            others = {name for name in used if not name.startswith(below)}
            assert not others, f"{module} imports {others}"
        if not module.startswith(("occupy_jit.cli", "occupy_jit.__main__")):
            assert not {name for name in used if name.startswith("occupy_jit.cli")}, module


def test_importing_the_package_is_cheap():
    code = "import sys, occupy_jit; print([m for m in ('numpy', 'numba', 'mrcfile') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_readme_and_ci_install_for_the_tests_in_the_same_way():
    if not os.path.exists(os.path.join(ROOT, "README.md")):
        pytest.skip("no README.md in this tree: its test command was NOT compared with .ci/run")
    for text in (read("README.md"), read(".ci/run")):
        assert re.search(r"python3 -m venv \S+ && \S+pip\"? install -q \"\.\[test\]\"", text)
        assert re.search(r"python\"? -m pytest", text)


def test_the_version_is_the_same_everywhere():
    """In `occupy_jit` it is written; what follows it by hand has to keep up."""
    from occupy_jit import __version__

    assert re.search(r"^version: (.*)$", read("CITATION.cff"), re.M).group(1) == __version__
    released = re.findall(r"^## \[(\d[\d.]*)\] - (\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), re.M)
    assert released[0][0] == __version__
    assert re.search(r"^date-released: (.*)$", read("CITATION.cff"), re.M).group(1) == released[0][1]
    assert [date for _, date in released] == sorted((date for _, date in released), reverse=True)
    assert f'version: "{__version__}"' in read("packaging/conda-forge/recipe.yaml")
    assert f'"occupy_jit {__version__}"' in read("man/OccuPy.1")


def test_containers_install_what_the_package_has():
    """Both images are made by the same steps, which the gate runs."""
    gate = read(".ci/run")
    for name in ("Dockerfile", "occupy_jit.def"):
        text = read(f"packaging/containers/{name}")
        assert "[plot,star,model]" in text and "[plot,star,model]" in gate
        assert "OccuPy --warm-up" in text and "--warm-up" in gate


def test_the_changelog_has_the_form_that_it_says():
    text = read("CHANGELOG.md")
    kinds = set(re.findall(r"^### (.*)$", text, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert "## [Unreleased]" in text
