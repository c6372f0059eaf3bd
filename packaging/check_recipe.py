"""Parse and render the conda-forge recipe with rattler-build, and compare it with what setup.cfg asks for.

    python packaging/check_recipe.py      needs py-rattler-build
"""

import configparser
import os
import re
import sys

import rattler_build

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RECIPE = os.path.join(ROOT, "packaging", "conda-forge", "recipe.yaml")


def requirements(lines):
    """Name -> what is asked for, without blanks."""
    return {re.match(r"[\w-]+", line).group(): re.sub(r"^[\w-]+|\s", "", line) for line in lines if line.strip()}


def main():
    """Return the exit status."""
    with open(RECIPE, encoding="utf-8") as file:
        recipe = rattler_build.Stage0Recipe.from_yaml(file.read())
    rendered = recipe.render()[0].recipe
    setup = configparser.ConfigParser()
    setup.read(os.path.join(ROOT, "setup.cfg"), encoding="utf-8")
    wanted = requirements(setup["options"]["install_requires"].splitlines())
    wanted["python"] = setup["options"]["python_requires"]
    found = requirements(map(str, rendered.to_dict()["requirements"]["run"]))
    with open(os.path.join(ROOT, "occupy_jit", "__init__.py"), encoding="utf-8") as file:
        version = re.search(r'__version__ = "(.*)"', file.read()).group(1)
    faults = [f"{name}: the recipe asks for {found.get(name)!r}, setup.cfg for {asked!r}"
              for name, asked in wanted.items() if found.get(name) != asked]
    if str(rendered.package.version) != version:
        faults.append(f"version {rendered.package.version}, the package has {version}")
    print("\n".join(faults) or f"{rendered.package.name} {version}: the recipe is sound")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
