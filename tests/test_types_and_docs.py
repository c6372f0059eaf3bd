"""What readers, editors and type checkers are told of the package agrees with the code."""

import ast
import doctest
import importlib
import inspect
import os
import pkgutil

import pytest

import occupy_jit
from tests.command import ROOT

PACKAGE = os.path.join(ROOT, "occupy_jit")
#: Methods with two underscores that callers use by a sign or a statement.
USED_BY_SIGNS = {"__init__", "__call__", "__enter__", "__exit__", "__iter__", "__len__", "__getitem__"}


def sources():
    for folder, _, files in os.walk(PACKAGE):
        yield from (os.path.join(folder, name) for name in sorted(files) if name.endswith(".py"))


def public_functions(path):
    """Functions and methods of a module that others may call, as (name, node, whether its first argument is bound)."""
    with open(path, encoding="utf-8") as file:
        stack = [("", node) for node in ast.parse(file.read(), path).body]
    for place, node in stack:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            stack += [(f"{place}{node.name}.", inner) for inner in node.body]
        elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name in USED_BY_SIGNS):
            static = any(isinstance(by, ast.Name) and by.id == "staticmethod" for by in node.decorator_list)
            yield f"{place}{node.name}", node, bool(place) and not static


@pytest.mark.parametrize("path", [pytest.param(path, id=os.path.relpath(path, PACKAGE)) for path in sources()])
def test_public_functions_say_what_they_take_and_give(path):
    bare = []
    for name, node, bound in public_functions(path):
        given = node.args
        arguments = [*given.posonlyargs, *given.args][bound:] + given.kwonlyargs
        arguments += [one for one in (given.vararg, given.kwarg) if one is not None]
        bare += [f"{name}({one.arg})" for one in arguments if one.annotation is None]
        bare += [f"{name} ->"] if node.returns is None else []
    assert bare == []


def test_the_package_is_marked_as_typed():
    assert os.path.exists(os.path.join(PACKAGE, "py.typed"))


def test_the_stub_has_the_lazy_names_where_they_are():
    with open(os.path.join(PACKAGE, "__init__.pyi"), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    told = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            told.update({alias.asname: (node.module, alias.name) for alias in node.names})
    lazy = {name: ("occupy_jit", name) if module is None else (f"occupy_jit.{module}", name)
            for name, module in occupy_jit._LAZY.items()}
    assert told == lazy
    declared = {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)}
    assert declared == {"__version__", "PROGRAM"} <= set(vars(occupy_jit))


def documented():
    """Every public function, class and method below the package, by its full name."""
    for info in pkgutil.walk_packages(occupy_jit.__path__, "occupy_jit."):
        if info.name.endswith((".__main__", ".pipeliner_jobs")):  # jobs have the methods that the Pipeliner asks for
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != info.name:
                continue
            if inspect.isclass(value):
                yield f"{info.name}.{name}"
                yield from (f"{info.name}.{name}.{part}" for part, inner in vars(value).items()
                            if not part.startswith("_") and inspect.isfunction(inner))
            elif inspect.isfunction(value) or hasattr(value, "py_func"):
                yield f"{info.name}.{name}"


def test_docstrings_are_there_and_their_parameters_are_those_of_the_signature():
    """PR01: one is not documented, PR02: there is none of that name; GL08: there is no docstring at all.

    A function whose first line says all has no list of parameters.
    """
    pytest.importorskip("scipy", reason="modules about models want it")
    validate = pytest.importorskip("numpydoc.validate", reason="numpydoc is not installed").validate
    wrong = []
    for name in documented():
        found = validate(name)
        listed = "Parameters\n" in (found["docstring"] or "")
        wrong += [(name, code, said) for code, said in found["errors"]
                  if code == "GL08" or listed and code in ("PR01", "PR02")]
    assert wrong == []


@pytest.mark.parametrize("name", [name for name, module in occupy_jit._LAZY.items() if module is not None])
def test_what_the_package_offers_is_documented_by_an_example_that_runs(name):
    value = getattr(occupy_jit, name)
    pytest.importorskip("gemmi") if name in ("read_model", "occupancy_of_parts", "states") else None
    tests = [test for test in doctest.DocTestFinder(recurse=False).find(value, name) if test.examples]
    assert tests, "no example"
    for test in tests:
        ran = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(test)
        assert ran.failed == 0
