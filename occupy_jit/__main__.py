"""The command ``OccuPy``, and ``python -m occupy_jit``: the first code in a process."""

import signal


def entry() -> None:
    """Run the program as a process that ends with the exit status."""
    # Until the program has its own handlers, an interrupt simply ends it, without a traceback of Python.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from occupy_jit.cli import main

    main.entry()


if __name__ == "__main__":
    entry()
