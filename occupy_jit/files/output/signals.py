"""Signals that end the program: what is incomplete is removed, and renames that have begun are finished first.

Standard library only, so that the command line can install the handlers before anything else.
"""

import contextlib
import os
import signal
import threading

from occupy_jit.files.output.temporaries import remove_temporaries


class Interrupted(SystemExit):
    """A signal asked the program to stop while it gave files their names: exit status 128 + its number.

    It passes every ``except Exception``, unwinds the ``with`` blocks that remove temporaries, and ends the
    interpreter with the right status and without a traceback even where nobody catches it.
    """

    def __init__(self, signum):
        super().__init__(128 + signum)
        self.signum = signum
        self.exit_status = 128 + signum


_interrupted = None  # number of the signal that came, if any
_committing = 0  # renames under way: a signal waits for them
_last_words = ""
_before = []  # what is called when a signal ends the process


def on_interrupt(function):
    """Have a function called when a signal ends the process, before anything else; what it raises is passed over.

    It must be quick and safe at any moment: the process is in the middle of something else.
    """
    _before.append(function)


def forget_interrupt(function):
    """Take back `on_interrupt`."""
    with contextlib.suppress(ValueError):
        _before.remove(function)


def _on_signal(signum, frame):
    """Remove what is incomplete and end the process, on the spot.

    An exception instead would be raised between any two instructions of whatever runs: inside the import machinery
    it can leave a lock that another thread waits for, for ever; in a callback it is swallowed.
    """
    global _interrupted
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


def install_signal_handlers(last_words=""):
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
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        signum = getattr(signal, name, None)
        if signum is None or (name == "SIGHUP" and signal.getsignal(signum) == signal.SIG_IGN):
            continue
        signal.signal(signum, _on_signal)
    return True


def check_interrupted():
    """Raise `Interrupted` if a signal came while renames were under way."""
    if _interrupted is not None:
        raise Interrupted(_interrupted)


def is_interrupted():
    """Whether a signal came while renames were under way: the program is on its way to its end."""
    return _interrupted is not None


@contextlib.contextmanager
def signals_wait():
    """Signals that come inside are raised at the end: between two renames of one run there is no good moment."""
    global _committing
    _committing += 1
    try:
        yield
    finally:
        _committing -= 1
        if not _committing:
            check_interrupted()
