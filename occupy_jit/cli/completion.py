"""Shell completion: static scripts that shtab makes from the parser, so that TAB never starts the program."""

import os
import sys

from occupy_jit import PROGRAM
from occupy_jit.cli.parser import SHELLS, build_parser
from occupy_jit.errors import OccupyError, UsageError
from occupy_jit.files.output.transaction import replaced, write_error
from occupy_jit.files.streams import open_input

# A file with this line is ours and may be replaced; any other content stays.
MARK = f"# Completion of {PROGRAM}, written by {PROGRAM} --install-completion"


def run(show=None, install=None):
    """Print the completion script for the shell `show`, or install it for the shell `install`, True for the user's.

    Returns the exit status 0; raises OccupyError if shtab is missing or the file cannot be written, UsageError if the
    user's shell is none that is known.
    """
    if show:
        sys.stdout.write(script(show))
    else:
        shell = _current_shell() if install is True else install
        path, state = install_script(shell)
        print(f"{path} {state}")
        print(_ADVICE[shell].format(path=path, directory=os.path.dirname(path)))
    return 0


def _current_shell():
    """The shell that $SHELL names: the user's login shell, as the shell itself sets it."""
    path = os.environ.get("SHELL", "")
    name = os.path.basename(path)
    if name not in SHELLS:
        found = f"$SHELL is {path}, which is none of these" if path else "$SHELL is not set"
        raise UsageError(f"--install-completion: {found}; name one: {', '.join(SHELLS)}")
    return name


def script(shell):
    """Return the completion script, a str, for one of `occupy_jit.cli.parser.SHELLS`."""
    try:
        import shtab
    except ImportError:
        raise OccupyError('completion needs the package shtab: pip install "occupy_jit[completion]"') from None
    kinds = {"file": shtab.FILE, "directory": shtab.DIRECTORY}
    parser = build_parser()
    for action in parser._actions:
        # In bash, shtab offers nothing but files after an option that takes several of them, so that no further
        # option could be completed; left alone, bash itself offers files where no option begins.
        if action.path and not (shell == "bash" and action.nargs == "+"):
            action.complete = kinds[action.path]
    parser.prog = _command()
    lines = shtab.complete(parser, shell=shell).rstrip("\n").split("\n")
    lines.insert(1, MARK)  # the first line has to stay the first: zsh reads it to know whose completion this is
    return "\n".join(lines) + "\n"


def install_script(shell):
    """Write the completion script to where the shell looks for a user's own.

    Returns
    -------
    path : str
    state : str
        What happened, for people: "written", "replaced" or "is up to date".

    Raises
    ------
    OccupyError
        If there is a file of that name that this program did not write, or it cannot be written.
    """
    path, text = _path(shell), script(shell)
    state = "written"
    if os.path.lexists(path):
        with open_input(path, "completion script") as file:
            present = file.read().decode("utf-8", "replace")
        if MARK not in present.split("\n"):
            raise OccupyError(f"{path} exists and was not written by {PROGRAM}: move it away, or append the output "
                              f"of {PROGRAM} --show-completion {shell} yourself")
        if present == text:
            return path, "is up to date"
        state = "replaced"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    except OSError as error:
        raise write_error(path, error) from None
    with replaced(path, "w") as file:
        file.write(text)
    return path, state


def _command():
    """The name that was typed: the program has two, and each is completed by a script of its own."""
    return "occupy-jit" if os.path.basename(sys.argv[0]) == "occupy-jit" else PROGRAM


def _path(shell):
    name = _command()
    home = os.path.expanduser("~")
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    if shell == "bash":
        directory = os.environ.get("BASH_COMPLETION_USER_DIR") or os.path.join(data, "bash-completion")
        return os.path.join(directory, "completions", name)
    if shell == "zsh":
        return os.path.join(data, "zsh", "site-functions", f"_{name}")
    if shell == "fish":
        return os.path.join(config, "fish", "completions", f"{name}.fish")
    return os.path.join(config, "tcsh", f"{name}.tcsh")  # tcsh has no place of its own


_ADVICE = {
    "bash": "It works in new shells where the package bash-completion is set up; otherwise add to ~/.bashrc:\n"
            "  source '{path}'",
    "zsh": "Unless they are there, add these lines to ~/.zshrc and start a new shell:\n"
           "  fpath=('{directory}' $fpath)\n  autoload -U compinit && compinit",
    "fish": "It works in new shells.",
    "tcsh": "Add this line to ~/.tcshrc and start a new shell:\n  source '{path}'",
}
