"""Search, loading and saving of compiled kernels, in place of numba's cache.

numba's own cache can fail in batch jobs: it raises during import if nothing is writable, trusts damaged
files, rewrites its index from several processes at once, ends the run at a full quota, and does not notice
a change in a kernel called by others. This cache keeps each compiled kernel in its own file (`store`).
Errors here only cost a compilation.
"""

import hashlib
import os
import pickle
import re
import time
import types
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from occupy_jit.kernels.jit import store
from occupy_jit.kernels.jit.store import is_cold, say

__all__ = ["KernelCache", "install", "is_cold", "kept_in", "why_compiling"]

# Longest total wait in seconds for other processes that compile the same kernels.
patience = 60.0
# Only kernels defined below this folder are kept.
_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# Settings that change the generated code but are not in numba's own key.
_CODE_OPTIONS = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "ENABLE_AVX",
                 "USING_SVML")


def kept_in() -> str:
    """Directory of compiled kernels; None if there is none."""
    return store.places()[1]


def why_compiling() -> str | None:
    """A sentence with the reason for compilation; None if compiled kernels exist."""
    if not is_cold():
        return None
    directory = kept_in()
    if directory is None:
        return ("the kernels are compiled, as in every run: there is no directory to keep them in; set "
                "OCCUPY_CACHE_DIR to one that you can write to")
    base = os.path.dirname(directory)
    others = [name for name in os.listdir(base) if "-numba" in name and name != os.path.basename(directory)]
    what = "those that are kept are of another version or for another processor" if others else "none are kept yet"
    return f"the kernels are compiled: in {base} {what}"


class _Reducer(CompileResultCacheImpl):
    """numba's conversion of compilation results to and from data, without its search for a directory."""

    def __init__(self, py_func: Callable[..., Any]) -> None:
        self._lineno = py_func.__code__.co_firstlineno
        self._locator = types.SimpleNamespace(_py_file=py_func.__code__.co_filename)
        self._filename_base = py_func.__name__


def _needed_symbols(result):
    """Undefined symbols of the machine code of a compilation result; None if unknown."""
    try:
        module = result.library._final_module
        names = [f.name for f in module.functions if f.is_declaration]
        names += [v.name for v in module.global_variables if v.is_declaration]
    except AttributeError:
        return None
    return tuple(name for name in names if not name.startswith("llvm."))


def _resolvable(names):
    """Whether all of `names` can be linked without numba's registries; registers those of its runtime."""
    if names is None:
        return False
    missing = [name for name in names if llvm.address_of_symbol(name) is None]
    if any(name.startswith("NRT_") for name in missing):
        try:
            # As numba.core.runtime.nrt does it before it compiles functions that cached code brings along.
            from numba.core.runtime import _nrt_python
            for name, address in _nrt_python.c_helpers.items():
                llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)
        except (ImportError, AttributeError):
            return False
        missing = [name for name in missing if llvm.address_of_symbol(name) is None]
    return not missing


class KernelCache(FunctionCache):
    """Compiled forms of one kernel on disk, in place of numba's cache on a dispatcher.

    Parameters
    ----------
    py_func : function
        The kernel.
    options : str
        Options that distinguish this compiled form from others of the same function.
    """

    def __init__(self, py_func: Callable[..., Any], options: str = "") -> None:
        self._name = repr(py_func)
        self._py_func = py_func
        self._options = options
        self._impl = _Reducer(py_func)
        self._held = set()
        self.enable()

    @property
    def cache_path(self) -> Any:
        """The directory entries are saved in, or None."""
        return kept_in()

    def _entry(self, signature, codegen):
        """File name of the entry for `signature`; None if it must not be kept."""
        code = self._py_func.__code__
        # The name of the directory does not cover other files and functions called from a closure.
        path = os.path.abspath(code.co_filename)
        if not path.startswith(_FOLDER) or any(
                callable(cell.cell_contents) for cell in self._py_func.__closure__ or ()):
            return None
        values = [str(getattr(config, option, None)) for option in _CODE_OPTIONS]
        key = repr((self._index_key(signature, codegen), path[len(_FOLDER):], code.co_firstlineno,
                    self._options, values))
        # An address in a type's name (a function as an argument) is not valid in another process.
        if " at 0x" in key:
            return None
        module = os.path.splitext(os.path.basename(path))[0]
        name = re.sub(r"[^\w.-]", "", f"{module}.{self._py_func.__qualname__}")
        return f"{name}.{hashlib.sha256(key.encode()).hexdigest()[:20]}{store.SUFFIX}"

    def load_overload(self, sig: tuple[Any, ...], target_context: Any) -> Any:
        """Return the compilation result for `sig`, or None if numba has to compile.

        In the second case this process holds the lock of the entry until `save_overload` or
        `release`, if no other was compiling it already.
        """
        try:
            return self._load(sig, target_context)
        except Exception as error:
            say(f"kernel cache not used: {type(error).__name__}: {error}")
            return None

    def _load(self, signature, target_context):
        global patience
        name = self._entry(signature, target_context.codegen()) if self._enabled else None
        if name is None:
            return None
        look, keep = store.places()
        if look is None:
            return None
        path = os.path.join(look, name)
        result = self._load_file(path, target_context)
        if result is not None or keep is None:
            return result
        pause = 0.01
        while (taken := store.lock(path)) is False and patience > 0:
            # Another process is compiling this kernel: waiting is cheaper than doing the same.
            time.sleep(pause)
            patience -= pause
            pause = min(2 * pause, 0.2)
            if os.path.exists(path):
                break
        if taken:
            self._held.add(path)
        elif taken is False and patience <= 0:
            say("waited long enough for other processes that compile the same kernels: compiling, too")
        result = self._load_file(path, target_context)
        if result is not None:
            self.release()
        return result

    @staticmethod
    def _load_file(path, target_context):
        payload = store.read(path)
        if payload is None:
            return None
        try:
            symbols, initialisers, reduced = pickle.loads(payload)
            for initialise in initialisers:
                initialise()  # the threads of parallel kernels, whose functions are among the symbols
            # numba refreshes its registries here, which imports some 200 modules and takes ten times
            # as long as all the rest; finished machine code needs no more of them than these symbols.
            # (Compilation refreshes them by itself.)
            if not _resolvable(symbols):
                target_context.refresh()
                if not _resolvable(symbols):
                    return None  # linking it would end the process
            return CompileResult._rebuild(target_context, *reduced)
        except Exception:
            store.discard(path)
            return None

    def save_overload(self, sig: tuple[Any, ...], data: Any) -> None:
        """Save the compilation result `data`; if that is impossible the code stays in memory only."""
        try:
            if not self._enabled or not self._impl.check_cachable(data):
                return
            name = self._entry(sig, data.codegen)
            directory = kept_in()
            # Sources changed on disk since the import: this code must not be saved as theirs.
            if name is None or directory is None or store.digest_of_kernels() != store.digest_at_import:
                return
            payload = dumps((_needed_symbols(data), tuple(data.reload_init), self._impl.reduce(data)))
            store.write(os.path.join(directory, name), payload)
        except Exception as error:
            say(f"a compiled kernel could not be kept: {type(error).__name__}: {error}")
        finally:
            self.release()

    def release(self) -> None:
        """Let other processes have what this one was compiling."""
        while self._held:
            store.lock(self._held.pop(), release=True)

    def flush(self) -> None:
        """Does nothing: entries stay valid as long as there is code for them."""


def install(dispatcher: Callable[..., Any], options: str = "") -> Callable[..., Any]:
    """Set this cache on a numba dispatcher; no cache if its internals are unknown."""
    try:
        cache = KernelCache(dispatcher.py_func, options)
        compiler = dispatcher._compiler
        compile_ = compiler.compile

        def compile_or_release(*args, **kwargs):
            try:
                return compile_(*args, **kwargs)
            except BaseException:
                cache.release()
                raise

        compiler.compile = compile_or_release
        dispatcher._cache = cache
    except Exception as error:
        say(f"compiled kernels are not kept: {type(error).__name__}: {error}")
    return dispatcher
