"""The command ``OccuPy``: from arguments to a run, and from whatever happens to an exit status."""

import gc
import os
import sys

from occupy_jit.cli import parser as command_line
from occupy_jit.errors import OccupyWarning, explain


def main(argv=None):
    """Run the program and return its exit status.

    The work is done by ``run.run(namespace, settings)``, which returns an exit status. It gets

    namespace : argparse.Namespace
        What `occupy_jit.cli.parser.parse` returned: inputs (``input_map``, ``demo``, ``relion_classes``,
        ``rerun``, of which exactly one is set unless ``warm_up`` is), outputs, ``threads``, ``verbosity``
        (-1, 0, 1), ``dry_run``, ``given`` and ``command_line``. The pipeline may set ``namespace.log`` to the
        path of the log that it is writing; the message about an internal error then names that file.
    settings : occupy_jit.settings.Settings
        What to compute, validated. For --rerun: ``parser.settings_from(namespace, recorded)`` makes them anew.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; those of the process if not given.

    Returns
    -------
    int
        0 done, 1 failed while running, 2 the command line cannot be obeyed, 3 an input cannot be used,
        130 and 143 interrupted.
    """
    import warnings

    argv = sys.argv[1:] if argv is None else list(argv)
    namespace = None
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("always", OccupyWarning)
            if not argv:
                return _hint()
            namespace = command_line.parse(argv)
            settings = command_line.settings_from(namespace)
            if namespace.show_completion or namespace.install_completion:
                from occupy_jit.cli import completion

                return completion.run(namespace.show_completion, namespace.install_completion)
            from occupy_jit.cli import run

            return run.run(namespace, settings)
    except SystemExit as stop:  # --help and --version, or a signal
        if hasattr(stop, "signum"):
            return _fail("interrupted; every file that was written is complete", stop.code)
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        _silence(sys.stdout)
        return 1
    except Exception as error:
        status, kind, message = explain(error)
        return _fail(message, status) if kind == "error" else _internal_error(error, message, namespace)


def entry():
    """Entry point of the console script: `main`, with the handling that belongs to a process of its own."""
    # A terminal that cannot show a letter (Å, a file name) gets an escape, not a traceback.
    sys.stdout.reconfigure(errors="backslashreplace")
    status = main()
    # Looking for garbage once more while the process ends takes time and frees nothing the system would not.
    gc.disable()
    gc.freeze()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
        status = status or 1
    except OSError as error:
        _silence(sys.stdout)
        status = status or _fail(f"standard output: {error.strerror}", 1)
    _leave_threads(status)
    return status


def _leave_threads(status):
    """End the process at once if a thread is still busy: compiling a kernel for a run that will not be.

    The interpreter would wait for the compiler, or take it apart while it works, which ends in a crash.
    """
    import threading

    if threading.active_count() > 1:
        from occupy_jit.files.temporaries import remove_temporaries

        remove_temporaries()
        os._exit(status)


def _hint():
    say = f"usage: {command_line.USAGE}"
    more = f"try:   {command_line.PROGRAM} --demo    or    {command_line.PROGRAM} --help"
    _print_error(f"{say}\n{more}")
    return 2


def _fail(message, status):
    _print_error(f"{command_line.PROGRAM}: error: {message}")
    return status


def _internal_error(error, message, namespace):
    """A defect of the program: one line for the user, the traceback for those who ask."""
    if getattr(namespace, "verbosity", 0) > 0:
        import traceback

        _print_error("".join(traceback.format_exception(error)).rstrip())
    log = getattr(namespace, "log", None)
    more = f"the log is {log}" if log else "run again with --verbose for the traceback"
    _print_error(f"{command_line.PROGRAM}: internal error: {message} ({more})")
    return 1


def _show_warning(message, category, filename, lineno, file=None, line=None):
    _print_error(f"{command_line.PROGRAM}: warning: {message}")


def _print_error(text):
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # nobody listens
        _silence(sys.stderr)


def _silence(stream):
    """Point a stream whose reader is gone to nowhere, so that the interpreter's last flush does not complain."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError, AttributeError):
        pass  # not a real stream


if __name__ == "__main__":
    sys.exit(entry())
