"""Folder of experimental and simulated maps for tests marked ``test_data``."""

import importlib.util
import os
import pathlib
import sys

import pytest

FOLDER = pathlib.Path(os.environ.get("OCCUPY_TEST_DATA") or os.curdir)


def simulator():
    """The module that simulates maps of proteins; the test is skipped if its requirements are missing."""
    for name in ("gemmi", "scipy"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: the ground truth of proteins was NOT tested")
    source = FOLDER / "groundtruth" / "simulate.py"
    specification = importlib.util.spec_from_file_location("groundtruth_simulate", source)
    simulate = importlib.util.module_from_spec(specification)
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        specification.loader.exec_module(simulate)
    finally:
        sys.dont_write_bytecode = keep
    return simulate
