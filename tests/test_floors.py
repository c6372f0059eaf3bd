"""The house: which module may import which, and how much lies at the top, from the source of every module."""

import ast
import os
import pathlib

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE = "occupy_jit"
# From the ground up. A module imports from its own floor and from those below.
FLOORS = [
    {"errors", "modifications"},
    {"queries", "selections"},
    {"settings", "machine"},
    {"kernels"},
    {"files", "estimation", "reports"},
    {"occupancy", "runs"},
    {"interface"},
    {"cli"},
]
# One floor, but nothing to do with each other, other than as this says.
NEIGHBOURS = {("reports", "files"), ("estimation", "files")}
ALLOWED_ABOVE = {"__main__"}


def modules():
    """Name of every module below the package -> (path, whether it is a package)."""
    found = {}
    for folder, _, files in os.walk(os.path.join(ROOT, PACKAGE)):
        for name in files:
            if name.endswith(".py"):
                relative = os.path.relpath(os.path.join(folder, name), ROOT)
                dotted = relative[:-3].replace(os.sep, ".")
                package = dotted.endswith(".__init__")
                found[dotted.removesuffix(".__init__")] = (os.path.join(folder, name), package)
    return found


MODULES = modules()


def imports(module):
    """Modules of the package that a module imports anywhere, also inside functions."""
    path, package = MODULES[module]
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read(), path)
    found = set()
    # what is imported for annotations alone is never loaded
    for_types = {id(node) for block in ast.walk(tree) if isinstance(block, ast.If)
                 and getattr(block.test, "id", None) == "TYPE_CHECKING" for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                parents = parents[:len(parents) - node.level + package]
                base = ".".join([*parents, *([base] if base else [])])
            # what is imported may be a module, or a name in one
            names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names]
        else:
            continue
        found.update(name for name in names if name.split(".")[0] == PACKAGE)
    return found


def room(module):
    """Folder, or module at the top, that a module belongs to; "" for the package itself."""
    return module.split(".")[1] if "." in module else ""


def floor(name):
    return next((number for number, rooms in enumerate(FLOORS) if name in rooms), None)


GRAPH = {module: imports(module) for module in MODULES}


def test_every_module_has_a_floor_and_every_room_is_there():
    rooms = {room(module) for module in MODULES} - {"", "demo"} - ALLOWED_ABOVE
    assert rooms == set().union(*FLOORS)


@pytest.mark.parametrize("module", [module for module in sorted(MODULES) if room(module) not in {"", *ALLOWED_ABOVE}])
def test_imports_run_downwards(module):
    here = room(module)
    for target in GRAPH[module]:
        there = room(target)
        if there in ("", here):  # the package itself holds the version only
            continue
        assert floor(there) <= floor(here), f"{module} imports {target} from above"
        if floor(there) == floor(here):
            assert (here, there) in NEIGHBOURS, f"{module} imports its neighbour {target}"


def test_nothing_imports_in_a_circle():
    """Not even inside functions: what needs each other belongs together."""
    state = {}

    def visit(module, path):
        assert state.get(module) != "open", " -> ".join([*path, module])
        if module in state:
            return
        state[module] = "open"
        for target in sorted(GRAPH[module] - {module, PACKAGE}):
            visit(target, [*path, module])
        state[module] = "done"

    for module in sorted(MODULES):
        visit(module, [])


def test_the_top_of_the_package_is_not_crowded():
    top = [module for module, (_, package) in MODULES.items() if module.count(".") == 1 and not package]
    assert len(top) + 1 <= 8, top  # and __init__


def test_every_folder_says_what_it_is_for():
    packages = [path for path, package in MODULES.values() if package]
    assert [path for path in packages if not ast.get_docstring(ast.parse(pathlib.Path(path).read_text("utf-8")))] == []


def test_the_graph_is_derived_from_what_is_there():
    """What would be missed if imports were not found: known edges, inside functions and out."""
    assert "occupy_jit.files.names.paths" in GRAPH["occupy_jit.runs.plan.plan"]
    assert "occupy_jit.estimation.scale.estimate" in GRAPH["occupy_jit.runs.one_map.run"]  # inside a function
    assert "occupy_jit.cli.parser" in GRAPH["occupy_jit.cli.main"]  # from a package, by name
    assert room("occupy_jit.kernels.jit.cache") == "kernels" and room("occupy_jit.settings") == "settings"


@pytest.mark.parametrize("word", ["print(", "sys.stdout", "sys.stderr"])
def test_nothing_below_the_command_line_prints(word):
    """But the seed's interface, whose callers ask for it with `verbose`."""
    printing = []
    for module, (path, _) in MODULES.items():
        if room(module) in ("cli", "occupancy"):
            continue
        with open(path, encoding="utf-8") as file:
            if word in file.read():
                printing.append(module)
    assert printing == []
