"""Arrays from a pickle, without running its code.

A pickle is a program, which Python's own reader would run. Here it may create NumPy
arrays, numbers, text and plain containers; any other content is refused.
"""

from __future__ import annotations

import pickle
from typing import Any

from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.streams import open_input

_MOST_BYTES = 1 << 32
_ADMITTED = {
    ("numpy", "ndarray"), ("numpy", "dtype"),
    *((module, name) for module in ("numpy.core.multiarray", "numpy._core.multiarray")
      for name in ("_reconstruct", "scalar")),
    *((module, "_frombuffer") for module in ("numpy.core.numeric", "numpy._core.numeric")),
    *((module, name) for module in ("builtins", "__builtin__")
      for name in ("set", "frozenset", "complex", "bytearray")),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
}


class _Refused(Exception):
    """The pickle contains something else than plain data."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: Any, name: Any) -> Any:
        if (module, name) not in _ADMITTED:
            raise _Refused(f"{module}.{name}")
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("objects kept elsewhere")


def read_pickle(path: str) -> Any:
    """Content of a pickle of arrays and plain containers.

    Parameters
    ----------
    path : str

    Returns
    -------
    object

    Raises
    ------
    InputError
        The file is missing, damaged, or would make anything but arrays, numbers, text and plain containers.
    """
    import numpy as np

    with open_input(path, "pickle") as file:
        if file.seek(0, 2) > _MOST_BYTES:
            raise InputError(f"{shown(path)}: is larger than any list of labels")
        file.seek(0)
        try:
            found = _Unpickler(file).load()
        except _Refused as error:
            raise InputError(f"{shown(path)}: is refused: it would run {error}, and only arrays and plain containers "
                             "are read from a pickle; save the labels with numpy.save") from None
        except Exception as error:  # a damaged file may fail in any way
            raise InputError(f"{shown(path)}: is not a pickle file, or is damaged ({type(error).__name__}); copy it "
                             "again") from error
    if isinstance(found, np.ndarray) and found.dtype.hasobject:
        return found.tolist()
    return found
