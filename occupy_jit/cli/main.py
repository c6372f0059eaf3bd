"""The command ``OccuPy``: from arguments to a run, and from its outcome to an exit status."""

import os
import sys

from occupy_jit import PROGRAM
from occupy_jit.cli import parser, relion
from occupy_jit.errors import SettingError


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; those of the process if not given.

    Returns
    -------
    int
        0 done, 1 the run failed, 2 the command line is wrong, 3 an input cannot be used,
        130 and 143 interrupted.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    verbosity = 0
    try:
        if not argv:
            return _hint()
        if relion.job_directory(argv) is not None:
            return relion.run(argv, main)
        settings, options = parser.parse(argv)
        verbosity = options.verbosity
        return _run(settings, options)
    except SystemExit as stop:  # --help and --version, or a signal
        if hasattr(stop, "signum"):
            return _fail("interrupted; every file that was written is complete", stop.code)  # pyright: ignore[reportReturnType]
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        _silence(sys.stdout)
        return 1
    except Exception as error:
        from occupy_jit.cli.console import Console
        from occupy_jit.reports.runlog import RunLog
        from occupy_jit.runs.one_map.outcome import failed

        if isinstance(error, SettingError):
            error = error.as_option()
        return failed("", error, RunLog(Console(verbosity))).status


def _run(settings, options):
    """Run the command; returns the exit status."""
    if options.show_completion or options.install_completion:
        from occupy_jit.cli import completion

        return completion.run(options.show_completion, options.install_completion)
    import warnings

    from occupy_jit.cli import run
    from occupy_jit.cli.console import Console

    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return run.run(settings, options, Console(options.verbosity))


def entry() -> None:
    """`main` as a separate process, which ends here."""
    from occupy_jit.files.output.signals import install_signal_handlers

    _open_closed_streams()
    install_signal_handlers(f"{PROGRAM}: error: interrupted; nothing incomplete was left\n")
    # A terminal that cannot show a character (Å, a file name) receives an escape, not a traceback.
    sys.stdout.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    status = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
        status = status or 1
    except OSError as error:
        _silence(sys.stdout)
        status = status or _fail(f"standard output: {error.strerror}", 1)
    _end(status)


def _open_closed_streams():
    """Point standard streams that are closed (``>&-``) to nowhere.

    Otherwise files opened later would receive their numbers, and printed text would go to them.
    """
    for number, name, mode in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_WRONLY), (2, "stderr", os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))


def _end(status):
    """End the process with this status, without the slow shutdown of the interpreter.

    If a thread is still compiling a kernel, the interpreter would wait for the
    compiler, or shut it down during its work, which causes a crash.
    """
    import threading

    if threading.active_count() > 1:
        from occupy_jit.files.output.temporaries import remove_temporaries

        remove_temporaries()
    else:
        import atexit

        atexit._run_exitfuncs()  # exit handlers of other modules
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # the reader is gone
    os._exit(status)


def _hint():
    say = f"usage: {parser.USAGE}"
    more = f"try:   {PROGRAM} --demo    or    {PROGRAM} --help"
    _print_error(f"{say}\n{more}")
    return 2


def _fail(message, status):
    _print_error(f"{PROGRAM}: error: {message}")
    return status


def _show_warning(message, category, filename, lineno, file=None, line=None):
    _print_error(f"{PROGRAM}: warning: {message}")


def _print_error(text):
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # the reader is gone
        _silence(sys.stderr)


def _silence(stream):
    """Redirect a stream without a reader, so that the last flush of the interpreter does not fail."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError, AttributeError):
        pass  # not a real stream
