"""Signals that end the program: what is incomplete is removed, and renames that have begun are finished first.

Python calls the handler of a signal between two of its own instructions, in the main thread alone: a kernel there, or
a library's solver, would hold it up for as long as it takes. So a thread of its own waits for signals, too.

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
    """A signal asked the program to stop while it gave files their names: exit status 128 + its number.

    It passes every ``except Exception``, unwinds the ``with`` blocks that remove temporaries, and ends the
    interpreter with the right status and without a traceback even where nobody catches it.
    """

    def __init__(self, signum: Any) -> None:
        super().__init__(128 + signum)
        self.signum = signum
        self.exit_status = 128 + signum


_interrupted = None  # number of the signal that came, if any
_committing = 0  # renames under way: a signal waits for them
_last_words = ""
_before = []  # what is called when a signal ends the process
# Held while renames begin, and by the end of the process: either comes first. The main thread may be interrupted in it.
_lock = threading.RLock()


def on_interrupt(function: Any) -> None:
    """Have a function called when a signal ends the process, before anything else; what it raises is passed over.

    It must be quick and safe at any moment: the process is in the middle of something else.
    """
    _before.append(function)


def forget_interrupt(function: Any) -> None:
    """Take back `on_interrupt`."""
    with contextlib.suppress(ValueError):
        _before.remove(function)


def _on_signal(signum, frame):
    """Remove what is incomplete and end the process, on the spot.

    An exception instead would be raised between any two instructions of whatever runs: inside the import machinery
    it can leave a lock that another thread waits for, for ever; in a callback it is swallowed.
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
    """Do what the handler would, as soon as a signal comes: the main thread may be in the middle of a kernel."""
    while signums := os.read(reader, 64):
        for signum in signums:
            if signum in handled:
                _on_signal(signum, None)


def install_signal_handlers(last_words: str = "") -> bool:
    """Let SIGTERM, SIGINT and SIGHUP remove this process's temporaries and end it with status 128 + number.

    Renames that have begun are finished first. SIGHUP stays ignored where it is (nohup). To be called in the main
    thread, early; elsewhere it does nothing.

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
    with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):  # without it signals are heard later
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        # no thread of Python's own: at the end of the process nobody waits for it
        _thread.start_new_thread(_watch, (reader, frozenset(handled)))
        os.register_at_fork(after_in_child=_forget_watcher)
    return True


def _forget_watcher():
    """A forked process must not wake the thread of its parent."""
    with contextlib.suppress(ValueError):
        signal.set_wakeup_fd(-1)


def check_interrupted() -> None:
    """Raise `Interrupted` if a signal came while renames were under way."""
    if _interrupted is not None:
        raise Interrupted(_interrupted)


def is_interrupted() -> bool:
    """Whether a signal came while renames were under way: the program is on its way to its end."""
    return _interrupted is not None


@contextlib.contextmanager
def signals_wait() -> Iterator[Any]:
    """Signals that come inside are raised at the end: between two renames of one run there is no good moment."""
    global _committing
    with _lock:
        _committing += 1
    try:
        yield
    finally:
        _committing -= 1
        if not _committing:
            check_interrupted()
