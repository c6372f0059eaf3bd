"""The documentation: valid commands, running blocks of Python, valid links, and a build of the site."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys

import pytest

from occupy_jit.cli.parser import build_parser
from occupy_jit.errors import OccupyError
from tests.command import DEMO, ROOT, SECONDS, environment, run

DOCS = os.path.join(ROOT, "docs")
BLOCK = re.compile(r"^```(\S+)( [^\n]*)?\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|\{download\}`[^<`]*<([^>]+)>`")

if not os.path.isdir(DOCS):
    pytest.skip("no docs in this tree", allow_module_level=True)


def text_of(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


def pages():
    """Pages that are written by hand, and the other texts of the project."""
    for folder, folders, names in os.walk(DOCS):
        folders[:] = [name for name in folders if not name.startswith("_")]
        for name in sorted(names):
            if name.endswith(".md"):
                yield os.path.relpath(os.path.join(folder, name), ROOT)
    yield from ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")


PAGES = sorted(pages())


def blocks(page, *kinds):
    return [body for kind, flags, body in BLOCK.findall(text_of(page)) if kind in kinds and "no-run" not in flags]


def commands(page, *kinds):
    """Command lines of the program in blocks of these kinds: arguments without the program."""
    for body in blocks(page, *kinds):
        for line in body.replace("\\\n", " ").splitlines():
            if line.strip().startswith("OccuPy "):
                yield shlex.split(line, comments=True)[1:]


WITH_COMMANDS = [page for page in PAGES if list(commands(page, "sh"))]
WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]


@pytest.mark.parametrize("page", PAGES)
def test_the_parser_understands_every_command(page):
    """Includes commands that are only shown because they need a cluster or network; indented in README."""
    shown = list(commands(page, "sh", "shell"))
    if page == "README.md":
        shown += [shlex.split(line, comments=True)[1:] for line in text_of(page).splitlines()
                  if line.startswith("    OccuPy ")]
    for arguments in shown:
        try:
            build_parser().parse_args(arguments)
        except OccupyError as error:
            pytest.fail(f"{page}: OccuPy {' '.join(arguments)}: {error}")


@pytest.mark.parametrize("page", PAGES)
def test_blocks_say_what_they_are(page):
    """sh is run, shell is shown only, python is run, text is what is printed."""
    kinds = {kind for kind, _, _ in BLOCK.findall(text_of(page))}
    assert {kind for kind in kinds if not kind.startswith("{")} <= {"sh", "shell", "python", "text"}
    for body in blocks(page, "sh"):
        assert all(line.startswith("OccuPy ") for line in body.splitlines()), "what is run is this program"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The files for the tutorials, made as described there."""
    for name in ("gemmi", "scipy"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("examples")
    subprocess.run([sys.executable, os.path.join(DOCS, "example_data.py"), str(folder)], check=True, env=environment(),
                   timeout=SECONDS)
    return folder


def without_numbers(text):
    """Lines whose numbers are masked: they differ a little between machines."""
    return [re.sub(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?", "#", line).strip() for line in text.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_every_command_runs(page, example, tmp_path):
    for name in os.listdir(example):
        os.symlink(example / name, tmp_path / name)
    printed = []
    for arguments in commands(page, "sh"):
        ran = run(*arguments, cwd=tmp_path)
        assert ran.returncode == 0, f"{page}: OccuPy {' '.join(arguments)}\n{ran.stdout}{ran.stderr}"
        printed += without_numbers(ran.stdout + ran.stderr)
    # printed output given on a page, except numbers and omitted lines
    shown = [line for body in blocks(page, "text") for line in without_numbers(body) if line != "..."]
    assert not [line for line in shown if line not in printed], f"{page} shows lines that no command prints"
    # files promised by a page exist under these names
    promised = set(re.findall(r"`((?:results/|states/)?[\w]+\.(?:mrc|csv|html|json|cif|txt|cxc))`", text_of(page)))
    there = {name for folder, _, names in os.walk(tmp_path) for name in names}
    missing = {name for name in promised if os.path.basename(name) not in there and "N" not in name}
    assert not missing or page == "README.md", f"{page} names files that no command of it writes"


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_blocks_of_python_run(page, tmp_path):
    code = "\n".join(blocks(page, "python"))
    ran = subprocess.run([sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", code], cwd=tmp_path,
                         env=environment(), capture_output=True, text=True, timeout=SECONDS)
    assert ran.returncode == 0, ran.stderr


def anchors(page):
    """Names of the headings of a page."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", text_of(page), re.M)}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    """Files and headings; on the web, only stable addresses."""
    outside = re.findall(r"https?://[^\s)>\"'`]+", re.sub(r"```.*?```", "", text_of(page), flags=re.S))
    assert all(re.match(r"https://(keepachangelog|semver|doi)\.", address) for address in outside), outside
    for first, second in LINK.findall(text_of(page)):
        target = first or second
        if target.startswith(("http", "../_generated", "<")) or page == "CHANGELOG.md":
            continue
        path, _, anchor = target.partition("#")
        whole = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if whole == os.path.join("docs", "reference", "manual.md") or whole.endswith("options.md"):
            assert os.path.exists(os.path.join(ROOT, whole))
            continue
        assert os.path.exists(os.path.join(ROOT, whole)), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(whole), f"{page}: {target}"


def test_every_page_is_in_a_table_of_contents():
    listed = {"docs/index.md"}
    for page in PAGES:
        for body in re.findall(r"^```\{toctree\}\n(.*?)^```$", text_of(page), re.M | re.S):
            names = [line for line in body.splitlines() if line and not line.startswith(":")]
            listed |= {os.path.normpath(os.path.join(os.path.dirname(page), f"{name}.md")) for name in names}
    assert {page for page in PAGES if page.startswith("docs")} == listed


def test_every_option_is_in_the_table():
    sys.path.insert(0, DOCS)
    try:
        import manual_page
    finally:
        sys.path.remove(DOCS)
    shown = manual_page.options()
    for action in build_parser()._actions:
        for flag in action.option_strings:
            assert f"`{flag}`" in shown, flag


def test_the_manual_page_keeps_its_words():
    """The site contains every word of the page with five letters or more."""
    sys.path.insert(0, DOCS)
    try:
        import manual_page
    finally:
        sys.path.remove(DOCS)
    roff = text_of("man/OccuPy.1")
    made = manual_page.markdown(roff)
    plain = re.sub(r"\\f[BIRP]|\\\[[^]]*\]|\\\(..|^\.TH.*|^\.\S+", " ", roff, flags=re.M)
    wanted = set(re.findall(r"[a-z]{5,}", plain))
    assert not {word for word in wanted if word not in made}
    assert not re.search(r"\\f[BIRP]|\\\(oA|^\.(?:PP|TP|B|I|EX|EE)\b", made, re.M), "roff is left"


def test_pictures_are_there_and_used():
    pictures = {name for name in os.listdir(os.path.join(DOCS, "pictures")) if name.endswith(".png")}
    used = set(re.findall(r"pictures/([\w.]+)", "\n".join(map(text_of, PAGES))))
    made = set(re.findall(r'"(\w+\.png)"', text_of("docs/figures.py")))
    assert pictures == used <= made


needs_sphinx = pytest.mark.skipif(any(importlib.util.find_spec(name) is None for name in (
    "sphinx", "furo", "myst_parser", "latex2mathml", "nbclient")), reason="the extra docs is not installed")


@needs_sphinx
@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_without_a_network(tmp_path):
    """No page of it asks another host for anything either."""
    blocked = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    build = ["-m", "sphinx", "-W", "-n", "--keep-going", "-q", "-d", "trees", DOCS, "site"]
    ran = subprocess.run([sys.executable, *build],
                         cwd=tmp_path, env=environment(**blocked), capture_output=True, text=True, timeout=SECONDS)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    for folder, _, names in os.walk(tmp_path / "site"):
        for name in names:
            if name.endswith(".html"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    html = file.read()
                asked = r'<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//|<link[^>]*stylesheet[^>]*"https?:'
                assert not re.search(asked, html), name


@needs_sphinx
@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
            "import notebook, nbformat, nbclient\n"
            "notebook.write(sys.argv[2], 'page.ipynb')\n"
            "book = nbformat.read('page.ipynb', 4); nbformat.validate(book)\n"
            "nbclient.NotebookClient(book, timeout=250, kernel_name='python3').execute()\n"
            "assert all(cell.execution_count for cell in book.cells if cell.cell_type == 'code')\n"
            "print(len(book.cells))\n")
    ran = subprocess.run([sys.executable, "-c", code, DOCS, os.path.join(DOCS, "tutorials", "from_python.md")],
                         cwd=tmp_path, env=environment(JUPYTER_PLATFORM_DIRS="1", HOME=str(tmp_path)),
                         capture_output=True, text=True, timeout=SECONDS)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout.split()[-1]) > 10 and os.path.exists(DEMO)


def test_a_terminal_of_80_columns_holds_the_examples_of_the_manual_page():
    """The page indents them by 7."""
    sys.path.insert(0, DOCS)
    try:
        import manual_page
    finally:
        sys.path.remove(DOCS)
    made = manual_page.markdown(text_of("man/OccuPy.1"))
    code = [line for body in re.findall(r"^```text\n(.*?)^```$", made, re.M | re.S) for line in body.splitlines()]
    assert len(code) > 50
    assert not [line for line in code if len(line) > 73]
