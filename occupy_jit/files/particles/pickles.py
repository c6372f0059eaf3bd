"""Arrays out of a pickle, without running what it holds.

A pickle is a program: whoever reads it with Python's own means does what its writer wants. Here it may make NumPy
arrays, numbers, text and plain containers; a file that asks for anything else is refused.
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
    """The pickle asks for what is not admitted."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: Any, name: Any) -> Any:
        if (module, name) not in _ADMITTED:
            raise _Refused(f"{module}.{name}")
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("objects kept elsewhere")


def read_pickle(path: str) -> Any:
    """What a pickle of arrays and plain containers holds.

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
        except Exception as error:  # a damaged program may fail in any way
            raise InputError(f"{shown(path)}: is not a pickle file, or is damaged ({type(error).__name__}); copy it "
                             "again") from error
    if isinstance(found, np.ndarray) and found.dtype.hasobject:
        return found.tolist()
    return found
