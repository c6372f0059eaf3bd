"""Where compiled kernels are kept between runs, and how they come back quickly.

numba's own cache fails in ways a batch job meets: it raises while the module is imported when
nothing is writable, it trusts damaged files, its index is rewritten by several processes at once,
a full quota ends the run, and a change in a kernel that others call goes unnoticed. This one
keeps each compiled kernel in one file of its own, in a directory whose name says everything the
machine code depends on. Whatever goes wrong here costs a compilation, never a run.

The directory is ``$OCCUPY_CACHE_DIR``, else ``$XDG_CACHE_HOME/occupy_jit``, else
``~/.cache/occupy_jit``, else a private one under ``$TMPDIR``, ``/tmp`` or ``/var/tmp``, else none.
An entry is a pickle, so that only directories and files are read that belong to the user or to
root and that nobody else may write; relative paths are ignored, so that nothing is ever loaded
from the current directory.
"""

import functools
import hashlib
import logging
import os
import pickle
import re
import stat
import sys
import time
import types

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from occupy_jit import __version__

try:
    import fcntl
except ImportError:
    # Not a POSIX system: processes that start together on a cold cache all compile.
    fcntl = None

_log = logging.getLogger("occupy_jit")
_MAGIC = b"occupy_jit kernel 1\n"
_SUFFIX = ".nbc"
_LOCK_NAME = "lock"
# Seconds this process is ready to wait, all kernels together, for others that compile the same ones.
_patience = 60.0
# Where a private directory may go after $TMPDIR.
_SHARED_TEMPORARY = ("/tmp", "/var/tmp")
# Directories of other versions that nobody has used for so long are removed.
_STALE_SECONDS = 30 * 86400
# What changes the generated code without a trace in numba's own key.
_CODE_OPTIONS = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "ENABLE_AVX",
                 "USING_SVML")


@functools.cache
def _say(line):
    """Log `line`, once per process."""
    _log.info(line)


# ---------------------------------------------------------------------- which directory


def _digest_of_kernels():
    """Digest of every source file of the kernels and of this folder, hexadecimal; None if they cannot be read.

    Of all of them: a kernel is compiled together with those it calls, whichever file they are in.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    digest = hashlib.sha256()
    try:
        for folder in (os.path.dirname(here), here):
            for name in sorted(os.listdir(folder)):
                if name.endswith(".py"):
                    with open(os.path.join(folder, name), "rb") as file:
                        content = file.read()
                    digest.update(f"{name} {len(content)}\n".encode() + content)
    except OSError:
        return None
    return digest.hexdigest()


# Taken when the kernels are imported, so that the name belongs to the code that is running even
# if the files are replaced by an upgrade while it runs.
_kernels_digest = _digest_of_kernels()


def _directory_name():
    """Name made of all that the machine code depends on, except the signature."""
    cpu = getattr(config, "CPU_NAME", None) or llvm.get_host_cpu_name()
    rest = hashlib.sha256(f"{_kernels_digest} {llvmlite.__version__} {numpy.__version__}".encode()).hexdigest()[:16]
    python = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"
    name = f"{__version__}-{python}-numba{numba.__version__}-{cpu}-{rest}"
    return re.sub(r"[^\w.+-]", "_", name)


_OUR_DIRECTORY = re.compile(r"[\w.+-]+-numba[\w.+]+-[\w.+-]+-[0-9a-f]{16}")


def _ours(status):
    """Whether what `status` describes belongs to this user or to root, and not everybody may write to it."""
    return not hasattr(os, "geteuid") or (status.st_uid in (os.geteuid(), 0) and not status.st_mode & stat.S_IWOTH)


def _make(path, mode, anywhere=True):
    """Make the directory `path` and its missing parents; true if it is there, ours, and can be written to.

    With `anywhere` false, root makes none inside a directory of somebody else's.
    """
    missing = []
    parent = path
    while not os.path.lexists(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    if missing and not anywhere and hasattr(os, "geteuid") and os.geteuid() == 0 and os.stat(parent).st_uid != 0:
        # Root with the home of a user (sudo): a directory of root's there would lock its owner out for good.
        return False
    for directory in reversed(missing):
        try:
            os.mkdir(directory, mode)
        except FileExistsError:
            pass  # another process was faster
    status = os.stat(path)
    return stat.S_ISDIR(status.st_mode) and _ours(status) and os.access(path, os.W_OK | os.X_OK)


def _private_temporary():
    """A directory for this user alone where temporary files go, or None.

    Its name is stable, so that the next process finds it; a directory of that name that is
    somebody else's, or open to others, is left alone. (`tempfile.gettempdir` is not asked, for
    its last resort is the current directory.)
    """
    if not hasattr(os, "geteuid"):
        return None
    for parent in (os.environ.get("TMPDIR", ""), *_SHARED_TEMPORARY):
        if not os.path.isabs(parent):
            continue
        path = os.path.join(parent, f"occupy_jit-{os.geteuid()}")
        try:
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                pass
            status = os.lstat(path)
            if (stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
                    and os.access(path, os.W_OK | os.X_OK)):
                return path
        except OSError:
            continue
    return None


def _wanted():
    """Return (base directory, whether the user named it)."""
    explicit = os.environ.get("OCCUPY_CACHE_DIR")
    if explicit:
        return os.path.expanduser(explicit), True
    general = os.environ.get("XDG_CACHE_HOME")
    if not general or not os.path.isabs(general):
        general = os.path.expanduser(os.path.join("~", ".cache"))
    return os.path.join(general, "occupy_jit"), False


@functools.cache
def places():
    """Return where to look for compiled kernels and where to put them.

    Returns
    -------
    look : tuple of str
        Directories to load from, the one written to first.
    keep : str or None
        The directory to save in.
    """
    look = []
    if _kernels_digest is None:
        _say("compiled kernels are not kept: the source files of the kernels cannot be read")
        return (), None
    name = _directory_name()
    base, explicit = _wanted()
    path = os.path.join(base, name)
    if os.path.isabs(base):
        try:
            is_new = not os.path.isdir(path)
            # One that is named may be shared on purpose: filled by root for all users of a machine or container.
            if _make(path, 0o755 if explicit else 0o700, anywhere=explicit):
                if is_new:
                    _remove_stale(base, name)
                else:
                    _mark_used(path)
                return (path,), path
        except OSError:
            pass
        try:
            if os.path.isdir(path) and _ours(os.stat(path)):
                look.append(path)  # filled by somebody we trust, and not to be written to
        except OSError:
            pass
        _say(f"compiled kernels cannot be kept in {base}: not writable, or open to others")
    else:
        _say(f"cache directory {base!r} ignored: it is not an absolute path")
    base = _private_temporary()
    if base is not None:
        path = os.path.join(base, name)
        try:
            if _make(path, 0o700):
                _say(f"compiled kernels are kept in {base}")
                return (path, *look), path
        except OSError:
            pass
    _say("compiled kernels are not kept: no directory is writable")
    return tuple(look), None


def is_cold():
    """Whether no compiled kernel is kept yet, so that what comes next has to compile."""
    for directory in places()[0]:
        try:
            if any(name.endswith(_SUFFIX) for name in os.listdir(directory)):
                return False
        except OSError:
            pass
    return True


def _mark_used(path):
    """Move the time stamp of the directory `path`, at most once a day, so that it is not taken for stale."""
    try:
        if time.time() - os.stat(path).st_mtime > 86400:
            os.utime(path)
    except OSError:
        pass


def _remove_stale(base, current):
    """Remove directories of other versions in `base` that are beyond doubt ours and long unused."""
    try:
        for entry in os.scandir(base):
            if entry.name == current or not _OUR_DIRECTORY.fullmatch(entry.name):
                continue
            status = entry.stat(follow_symlinks=False)
            if (not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid()
                    or time.time() - status.st_mtime < _STALE_SECONDS):
                continue
            names = os.listdir(entry.path)
            if all(name == _LOCK_NAME or _SUFFIX in name for name in names):
                for name in names:
                    os.unlink(os.path.join(entry.path, name))
                os.rmdir(entry.path)
    except (OSError, AttributeError):
        pass  # the next new version tries again


# ---------------------------------------------------------------------- one file per compiled kernel


def _read(path):
    """Content of the entry `path`; None if there is none. A damaged one is removed."""
    try:
        with open(path, "rb") as file:
            if not _ours(os.fstat(file.fileno())):
                _say(f"{path} ignored: it belongs to somebody else")
                return None
            content = file.read()
        head = len(_MAGIC) + 32
        # The checksum comes before unpickling: a half-written pickle can do anything.
        if content[:len(_MAGIC)] == _MAGIC and hashlib.sha256(content[head:]).digest() == content[len(_MAGIC):head]:
            return content[head:]
    except FileNotFoundError:
        return None
    except OSError:
        pass
    _discard(path)
    return None


def _discard(path):
    """Remove a damaged entry; if that fails it is ignored and overwritten."""
    _say(f"damaged entry of the kernel cache removed, compiling again: {path}")
    try:
        os.unlink(path)
    except OSError:
        try:
            os.rmdir(path)
        except OSError:
            pass


def _write(path, payload):
    """Put `payload` at `path` in one step: readers see all of it, or what was there before."""
    temporary = f"{path}.{os.getpid()}-{os.urandom(4).hex()}"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o644),
                  "wb") as file:
            file.write(_MAGIC + hashlib.sha256(payload).digest())
            file.write(payload)
        os.replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


@functools.cache
def _lock_file(directory):
    """Descriptor of the lock file in `directory`, or None. Never closed: closing would drop the locks."""
    try:
        return os.open(os.path.join(directory, _LOCK_NAME), os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    except OSError:
        return None


def _lock(directory, name, release=False):
    """Try to take the lock of entry `name`, or release it.

    Each entry is one byte of one file: POSIX locks end with the process however it ends, are not
    inherited by a forked child, and work on NFS.

    Returns
    -------
    bool or None
        Whether this process has it now; None where locks do not work.
    """
    descriptor = None if fcntl is None else _lock_file(directory)
    if descriptor is None:
        return None
    offset = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_UN if release else fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


# ---------------------------------------------------------------------- what numba calls


class _Reducer(CompileResultCacheImpl):
    """numba's way of taking a compilation result apart and putting it together, without its search for a directory."""

    def __init__(self, py_func):
        self._lineno = py_func.__code__.co_firstlineno
        self._locator = types.SimpleNamespace(_py_file=py_func.__code__.co_filename)
        self._filename_base = py_func.__name__


@functools.cache
def _file_digest(path):
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


def _needed_symbols(result):
    """Names that the machine code of a compilation result expects to find in the process; None if unknown."""
    try:
        module = result.library._final_module
        names = [f.name for f in module.functions if f.is_declaration]
        names += [v.name for v in module.global_variables if v.is_declaration]
    except AttributeError:
        return None
    return tuple(name for name in names if not name.startswith("llvm."))


def _resolvable(names):
    """Whether all of `names` can be linked without numba's registries, having made known those of its runtime."""
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
    """Compiled forms of one kernel on disk; stands in for numba's cache on a dispatcher.

    Parameters
    ----------
    py_func : function
        The kernel.
    options : str
        What else tells this compiled form from others of the same function.
    """

    def __init__(self, py_func, options=""):
        self._name = repr(py_func)
        self._py_func = py_func
        self._options = options
        self._impl = _Reducer(py_func)
        self._held = set()
        self.enable()

    @property
    def cache_path(self):
        """The directory entries are saved in, or None."""
        return places()[1]

    def _base(self):
        code = self._py_func.__code__
        module = os.path.splitext(os.path.basename(code.co_filename))[0]
        return re.sub(r"[^\w.-]", "", f"{module}.{self._py_func.__qualname__}")

    def _entry(self, signature, codegen):
        """File name of the entry for `signature`; None if it must not be kept."""
        if any(callable(cell.cell_contents) for cell in self._py_func.__closure__ or ()):
            return None
        source = _file_digest(self._py_func.__code__.co_filename)
        values = [getattr(config, option, None) for option in _CODE_OPTIONS]
        line = self._py_func.__code__.co_firstlineno
        key = repr((self._index_key(signature, codegen), source, line, self._options, [str(v) for v in values]))
        # An address in a type's name (a function given as an argument) means nothing in another process.
        if source is None or " at 0x" in key:
            return None
        return f"{self._base()}.{hashlib.sha256(key.encode()).hexdigest()[:20]}{_SUFFIX}"

    def load_overload(self, sig, target_context):
        """Return the compilation result for `sig`, or None if numba has to compile.

        In the second case this process holds the lock of the entry until `save_overload` or
        `release`, if no other was compiling it already.
        """
        try:
            return self._load(sig, target_context)
        except Exception as error:
            _say(f"kernel cache not used: {type(error).__name__}: {error}")
            return None

    def _load(self, signature, target_context):
        global _patience
        name = self._entry(signature, target_context.codegen()) if self._enabled else None
        if name is None:
            return None
        look, keep = places()
        for directory in look:
            result = self._load_file(os.path.join(directory, name), target_context)
            if result is not None:
                return result
        if keep is None:
            return None
        path = os.path.join(keep, name)
        pause = 0.01
        while (taken := _lock(keep, name)) is False and _patience > 0:
            # Another process is compiling this very kernel: what it will save is cheaper than doing the same.
            time.sleep(pause)
            _patience -= pause
            pause = min(2 * pause, 0.2)
            if os.path.exists(path):
                break
        if taken:
            self._held.add((keep, name))
        elif taken is False and _patience <= 0:
            _say("waited long enough for other processes that compile the same kernels: compiling, too")
        result = self._load_file(path, target_context)
        if result is not None:
            self.release()
        return result

    @staticmethod
    def _load_file(path, target_context):
        payload = _read(path)
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
            _discard(path)
            return None

    def save_overload(self, sig, data):
        """Save the compilation result `data`; if that is impossible the code stays in memory only."""
        try:
            if not self._enabled or not self._impl.check_cachable(data):
                return
            name = self._entry(sig, data.codegen)
            directory = places()[1]
            # Kernels replaced on disk since the import: this code must not pass for theirs.
            if name is None or directory is None or _digest_of_kernels() != _kernels_digest:
                return
            payload = dumps((_needed_symbols(data), tuple(data.reload_init), self._impl.reduce(data)))
            try:
                _write(os.path.join(directory, name), payload)
            except FileNotFoundError:
                os.makedirs(directory, 0o700, exist_ok=True)  # somebody has emptied the cache meanwhile
                _write(os.path.join(directory, name), payload)
        except Exception as error:
            _say(f"a compiled kernel could not be kept: {type(error).__name__}: {error}")
        finally:
            self.release()

    def release(self):
        """Let other processes have what this one was compiling."""
        while self._held:
            _lock(*self._held.pop(), release=True)

    def flush(self):
        """Remove all entries of this kernel."""
        directory = places()[1]
        try:
            for name in os.listdir(directory) if directory else ():
                if name.startswith(self._base() + "."):
                    os.unlink(os.path.join(directory, name))
        except OSError:
            pass


def install(dispatcher, options=""):
    """Give a dispatcher of numba's this cache; without one if its insides are not those known here."""
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
        _say(f"compiled kernels are not kept: {type(error).__name__}: {error}")
    return dispatcher
