"""Signals that end the program: incomplete files are removed, after renames in progress are finished.

Python calls the handler of a signal between two of its instructions, only in the main thread: a kernel there, or
the solver of a library, would delay it. So a separate thread also waits for signals.

Standard library only, so that the command line can install the handlers before anything else.
"""

import _thread
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from occupy_jit.files.output.temporaries import remove_temporaries


class Interrupted(SystemExit):
    """A signal arrived during renames: exit status 128 + its number.

    It passes every ``except Exception``, unwinds the ``with`` blocks that remove temporaries, and ends the
    interpreter with the right status and without a traceback even if it is not caught.
    """

    def __init__(self, signum: Any) -> None:
        super().__init__(128 + signum)
        self.signum = signum
        self.exit_status = 128 + signum


_interrupted = None  # number of a received signal, if any
_committing = 0  # renames in progress, for which a signal waits
_last_words = ""
_before = []  # functions to call when a signal ends the process
# Held at the beginning of renames and at the end of the process, which exclude each other.
_lock = threading.RLock()


def on_interrupt(function: Any) -> None:
    """Call a function first when a signal ends the process; its exceptions are ignored.

    It must be quick and safe at any moment.
    """
    _before.append(function)


def forget_interrupt(function: Any) -> None:
    """Undo `on_interrupt`."""
    with contextlib.suppress(ValueError):
        _before.remove(function)


def _on_signal(signum, frame):
    """Remove incomplete files and end the process at once.

    An exception would instead be raised between any two instructions: inside the import machinery
    it can leave a lock on which another thread waits for ever; in a callback it is lost.
    """
    global _interrupted
    with _lock:
        for function in _before:
            with contextlib.suppress(Exception):
                function()
        if _committing:
            _interrupted = signum
            return
        remove_temporaries()
        with contextlib.suppress(OSError):
            os.write(2, _last_words.encode())
        os._exit(128 + signum)


def _watch(reader, handled):
    """Act as the handler as soon as a signal arrives, because the main thread may be inside a kernel."""
    while signums := os.read(reader, 64):
        for signum in signums:
            if signum in handled:
                _on_signal(signum, None)


def install_signal_handlers(last_words: str = "") -> bool:
    """Let SIGTERM, SIGINT and SIGHUP remove the temporaries of this process and end it with status 128 + number.

    Renames in progress are finished first. An ignored SIGHUP stays ignored (nohup). Call it early in the main
    thread; in other threads it does nothing.

    Parameters
    ----------
    last_words : str
        Written to standard error at the end.

    Returns
    -------
    bool
        True if the handlers are in place.
    """
    global _interrupted, _last_words
    if threading.current_thread() is not threading.main_thread():
        return False
    _interrupted, _last_words = None, last_words
    handled = []
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        signum = getattr(signal, name, None)
        if signum is None or (name == "SIGHUP" and signal.getsignal(signum) == signal.SIG_IGN):
            continue
        signal.signal(signum, _on_signal)
        handled.append(signum)
    with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):  # without it signals are handled later
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        # not a Python thread object, so that the end of the process does not wait for it
        _thread.start_new_thread(_watch, (reader, frozenset(handled)))
        os.register_at_fork(after_in_child=_forget_watcher)
    return True


def _forget_watcher():
    """A forked process must not wake the thread of its parent."""
    with contextlib.suppress(ValueError):
        signal.set_wakeup_fd(-1)


def check_interrupted() -> None:
    """Raise `Interrupted` if a signal arrived during renames."""
    if _interrupted is not None:
        raise Interrupted(_interrupted)


def is_interrupted() -> bool:
    """Whether a signal arrived during renames, so that the program is about to end."""
    return _interrupted is not None


@contextlib.contextmanager
def signals_wait() -> Iterator[Any]:
    """Signals inside the block are raised at its end, because renames of one run must not be interrupted."""
    global _committing
    with _lock:
        _committing += 1
    try:
        yield
    finally:
        _committing -= 1
        if not _committing:
            check_interrupted()
