"""Look into a wheel and an sdist: is everything there that a user needs, and nothing else?

    python packaging/check_distribution.py dist/occupy_jit-0.2.0-py3-none-any.whl dist/occupy_jit-0.2.0.tar.gz

Exits 1, and says what is wrong, if not.
"""

import os
import re
import sys
import tarfile
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LARGEST_BYTES = 3_000_000
"""Of either file: the demo map takes 0.4 MB, pictures of the documentation some more."""

IN_SDIST = ("LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "pyproject.toml", "setup.cfg",
            "man/OccuPy.1", "man/build_page.py", "tests/conftest.py", "docs/conf.py", "bench/__main__.py",
            "packaging/conda-forge/recipe.yaml")
NOWHERE = re.compile(r"__pycache__|\.pyc$|\.nbc$|\.nbi$|(^|/)\.(git|hypothesis|pytest_cache)(/|$)")


def tracked():
    """Files of the package as they lie in this tree."""
    found = set()
    for folder, _, names in os.walk(os.path.join(ROOT, "occupy_jit")):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), ROOT).replace(os.sep, "/")
            if not NOWHERE.search(path):
                found.add(path)
    return found


def faults_of_wheel(path):
    """Sentences about what is wrong with a wheel."""
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        info = metadata.rpartition("/")[0]
        text = wheel.read(metadata).decode()
        entry_points = wheel.read(f"{info}/entry_points.txt").decode()
    yield from (f"{name} is missing" for name in sorted(tracked() - names))
    data = info.replace(".dist-info", ".data")
    for name in (f"{data}/data/share/man/man1/OccuPy.1", f"{info}/licenses/LICENSE"):
        if name not in names:
            yield f"{name} is missing"
    for name in sorted(names):
        if not name.startswith(("occupy_jit/", f"{info}/", f"{data}/")):
            yield f"{name} would be installed beside the package"
    for script in ("OccuPy", "occupy-jit"):
        if f"{script} = occupy_jit.__main__:entry" not in entry_points:
            yield f"no command {script}"
    for line in ("License: BSD-3-Clause", "Requires-Python: >=3.10"):
        if line not in text:
            yield f"METADATA lacks {line!r}"
    yield from _everywhere(path, names)


def faults_of_sdist(path):
    """Sentences about what is wrong with an sdist."""
    with tarfile.open(path) as sdist:
        names = {member.name.partition("/")[2] for member in sdist.getmembers() if member.isfile()}
    yield from (f"{name} is missing" for name in sorted((tracked() | set(IN_SDIST)) - names))
    yield from _everywhere(path, names)


def _everywhere(path, names):
    yield from (f"{name} does not belong there" for name in sorted(names) if NOWHERE.search(name))
    size = os.path.getsize(path)
    if size > LARGEST_BYTES:
        yield f"{size} bytes, more than {LARGEST_BYTES}"


def main(paths):
    """Look at all; return the exit status."""
    faults = [f"{path}: {fault}" for path in paths
              for fault in (faults_of_wheel if path.endswith(".whl") else faults_of_sdist)(path)]
    print("\n".join(faults) or f"{len(paths)} files hold what they should")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
