"""Shell completion by static scripts, which shtab makes from the parser, so that TAB never starts the program."""

import os
import sys
from typing import Any

from occupy_jit import PROGRAM
from occupy_jit.cli.parser import SHELLS, build_parser
from occupy_jit.errors import OccupyError, UsageError, missing_packages
from occupy_jit.files.output.transaction import replaced, write_error
from occupy_jit.files.streams import open_input

OTHER_COMMAND = "occupy-jit"
"""The same program by another name."""

# These shells load the script from a file named after the command; the others load all files.
_LOOKED_UP_BY_NAME = ("bash", "fish")

# A file with this line was written by this program and may be replaced; others are kept.
MARK = f"# Completion of {PROGRAM}, written by {PROGRAM} --install-completion"


def run(show: Any = None, install: Any = None) -> int:
    """Print the completion script for the shell `show`, or install it for the shell `install` (True: that of the user).

    Returns the exit status 0; raises OccupyError if the file cannot be written, UsageError if the shell is not
    supported, or shtab is missing.
    """
    if show:
        sys.stdout.write(script(show))
    else:
        shell = _current_shell() if install is True else install
        path, state = install_script(shell)
        print(f"{path} {state}")
        if shell in _LOOKED_UP_BY_NAME:
            print("{} {}".format(*install_script(shell, OTHER_COMMAND)))
        print(_ADVICE[shell].format(path=path, directory=os.path.dirname(path)))
    return 0


def _current_shell():
    """The shell in $SHELL: the login shell of the user."""
    path = os.environ.get("SHELL", "")
    name = os.path.basename(path)
    if name not in SHELLS:
        found = f"$SHELL is {path}, which is not supported" if path else "$SHELL is not set"
        raise UsageError(f"--install-completion: {found}; name one: {', '.join(SHELLS)}")
    return name


def script(shell: Any) -> str:
    """Return the completion script, a str, for one of `occupy_jit.cli.parser.SHELLS`."""
    try:
        import shtab
    except ImportError:
        raise missing_packages("completion", "shtab") from None
    kinds = {"file": shtab.FILE, "directory": shtab.DIRECTORY, "map": {**shtab.FILE, "bash": "_occupy_map_files"}}
    parser = build_parser()
    for action in parser._actions:
        if action.path:  # pyright: ignore[reportAttributeAccessIssue]
            action.complete = kinds[action.path]  # pyright: ignore[reportAttributeAccessIssue]
    text = shtab.complete(parser, shell=shell, preamble={"bash": _BASH_MAPS}).rstrip("\n") + "\n"
    lines = _FINISHED[shell](text).split("\n")
    lines.insert(1, MARK)  # zsh needs this line first, with the name of the command
    return "\n".join(lines)


# Names of maps and directories, or of all files if there are none.
_BASH_MAPS = """\
_occupy_map_files() {
  local found=$(compgen -f -- "$1" | grep -iE '[.](mrc|map|ccp4|rec)([.](gz|bz2))?$'; compgen -d -- "$1")
  [ -n "$found" ] && echo "$found" | sort -u || compgen -f -- "$1"
}
"""


def _finished_for_bash(text):
    # shtab offers only files after an option that takes several of them; options may follow, too
    last = '( -z "$current_action_compgen" ||'
    text = text.replace(last, f'{last} "$current_action_nargs" = "+" ||')
    return f"{text.rstrip()} {OTHER_COMMAND}\n"


def _finished_for_zsh(text):
    # for zsh the second file after an option that takes several is an argument without an option
    text = text.replace("': :_shtab_OccuPy_commands' '*::: :->OccuPy'", "'*:file:_files'")
    return text.replace(f"#compdef {PROGRAM}\n", f"#compdef {PROGRAM} {OTHER_COMMAND}\n", 1)


def _finished_for_fish(text):
    # and also for fish, which otherwise completes no such arguments
    text = text.replace(f"complete -c {PROGRAM} -f\n", "")
    return f"{text}complete -c {OTHER_COMMAND} -w {PROGRAM}\n"


def _finished_for_tcsh(text):
    rules = text[text.index(f"complete {PROGRAM} "):]
    return f"{text}\n{rules.replace(PROGRAM, OTHER_COMMAND, 1)}"


_FINISHED = {"bash": _finished_for_bash, "zsh": _finished_for_zsh, "fish": _finished_for_fish,
             "tcsh": _finished_for_tcsh}


def install_script(shell: str, name: str = PROGRAM) -> tuple[str, str]:
    """Write the completion script to the place where the shell looks for scripts of the user.

    Parameters
    ----------
    shell : str
        One of `occupy_jit.cli.parser.SHELLS`.
    name : str
        Command in the name of the file; the script completes both commands.

    Returns
    -------
    path : str
    state : str
        Outcome in words: "written", "replaced" or "is up to date".

    Raises
    ------
    OccupyError
        If a file of that name was not written by this program, or cannot be written.
    """
    path, text = _path(shell, name), script(shell)
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


def _path(shell, name=PROGRAM):
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
    return os.path.join(config, "tcsh", f"{name}.tcsh")  # tcsh has no directory for scripts


_ADVICE = {
    "bash": "It works in new shells where the package bash-completion is set up; otherwise add to ~/.bashrc:\n"
            "  source '{path}'",
    "zsh": "Add these lines to ~/.zshrc, unless they are there already, and start a new shell:\n"
           "  fpath=('{directory}' $fpath)\n  autoload -U compinit && compinit",
    "fish": "It works in new shells.",
    "tcsh": "Add this line to ~/.tcshrc and start a new shell:\n  source '{path}'",
}
