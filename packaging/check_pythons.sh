#!/usr/bin/env bash
# Install a wheel with each Python that this machine has, with the oldest and the newest libraries, and run the demo.
#   packaging/check_pythons.sh dist/occupy_jit-0.2.0-py3-none-any.whl
set -euo pipefail
wheel=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OCCUPY_CACHE_DIR

python_of() { # VERSION: the interpreter, from the path or from pyenv
    local found
    for found in "$(command -v "python$1" || true)" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if [ -n "$found" ] && "$found" -c 'import ensurepip, venv' 2>/dev/null; then echo "$found"; return; fi
    done
}

try() { # VERSION LABEL REQUIREMENT...
    local version=$1 label=$2 python start=$SECONDS
    shift 2
    python=$(python_of "$version")
    if [ -z "$python" ]; then echo "Python $version: not on this machine, not tried"; return; fi
    "$python" -m venv "$work/$version-$label"
    OCCUPY_CACHE_DIR="$work/cache-$version-$label"
    if ! "$work/$version-$label/bin/pip" install -q --disable-pip-version-check "$wheel" "$@"; then
        echo "Python $version, $label: cannot be installed"
        return 1
    fi
    (cd "$work" && "$work/$version-$label/bin/OccuPy" --demo --amplify --quiet --output-dir "out-$version-$label")
    test -s "$work/out-$version-$label/scale_emd_11007_demo.mrc"
    test -s "$work/out-$version-$label/report_emd_11007_demo.html"
    "$work/$version-$label/bin/python" - "$version" "$label" $((SECONDS - start)) <<'PYTHON'
import importlib.metadata as m
import sys
print(f"Python {sys.version.split()[0]}, {sys.argv[2]}: demo done;",
      ", ".join(f"{name} {m.version(name)}" for name in ("numpy", "numba", "mrcfile", "jinja2")), f"({sys.argv[3]} s)")
PYTHON
}

try 3.10 oldest "numpy==2.0.*" "numba==0.60.*" "mrcfile==1.5.0" "jinja2==3.0.*" "markupsafe<2.1"
for version in 3.10 3.11 3.12 3.13 3.14; do try "$version" newest; done
