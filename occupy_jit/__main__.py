"""The command ``OccuPy``, and ``python -m occupy_jit``: the first that runs in a process."""

import signal


def entry() -> None:
    """Run the program in a process of its own and end that with the exit status."""
    # Until the program has handlers of its own an interrupt just ends it: Python's answer would be a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from occupy_jit.cli import main

    main.entry()


if __name__ == "__main__":
    entry()
