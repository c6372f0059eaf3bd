"""This program as an External job of RELION: its command line, and the files that RELION expects."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from occupy_jit.errors import UsageError

_OTHER_INPUTS = {"in_movies": "movies", "in_mics": "micrographs", "in_coords": "coordinates", "in_parts": "particles"}
_YES, _NO = ("yes", "true", "1", "on"), ("no", "false", "0", "off")


@dataclass(frozen=True)
class RelionCall:
    """A call by RELION.

    Attributes
    ----------
    directory : str
        Of the job.
    argv : list of str
        The same for this program.
    """

    directory: str
    argv: list


def job_directory(argv: list[str]) -> Any:
    """Directory of the job if RELION is the caller, recognised by --o; otherwise None."""
    for position, word in enumerate(argv):
        if word == "--":
            break
        if word == "--o":
            return argv[position + 1] if position + 1 < len(argv) else ""
        if word.startswith("--o="):
            return word[4:]
    return None


def run(argv: list[str], main: Callable[..., Any]) -> int:
    """Run a call by RELION.

    Parameters
    ----------
    argv : list of str
        Arguments from RELION.
    main : callable
        Runs the program: list of arguments -> exit status.

    Returns
    -------
    int
        Exit status.
    """
    import time

    from occupy_jit.cli.parser import build_parser
    from occupy_jit.runs.relion_job import ExternalJob, nodes_of

    directory = job_directory(argv)
    job = ExternalJob(directory or os.curdir)
    job.begin()
    begun = time.time_ns()
    try:
        status = main(translate(argv, build_parser()).argv)
    except UsageError as error:
        job.end(error.exit_status)
        raise
    job.end(status, nodes_of(directory, begun) if status == 0 else ())
    return status


def translate(argv: list[str], parser: Any) -> RelionCall:
    """Translate the arguments of RELION.

    --o DIR is the output directory, --in_3dref MAP the input, --in_mask MASK the content, --j N the number of threads;
    --pipeline_control is redundant. Every other label is an option of this program; RELION may give a value to options
    that take none: yes or no.

    Parameters
    ----------
    argv : list of str
    parser : argparse.ArgumentParser

    Returns
    -------
    RelionCall

    Raises
    ------
    UsageError
    """
    options = {flag: action for action in parser._actions for flag in action.option_strings}
    ours = {"o": "--output-dir", "in_3dref": "--input-map", "in_mask": "--solvent-def", "j": "--threads"}
    found, directory = [], None
    for label, values in _labelled(argv):
        if label in _OTHER_INPUTS and values:
            raise UsageError(f"--{label}: {_OTHER_INPUTS[label]} cannot be used as input; give a 3D reference, or a "
                             "parameter relion-classes with the name of a model.star")
        if label == "pipeline_control" or (label in _OTHER_INPUTS or label in ours) and not values:
            continue
        flag = ours.get(label) or f"--{label.replace('_', '-')}"
        if label == "o":
            directory = values[0]
        elif flag in ("--output-dir", "--threads") and label not in ours:
            raise UsageError(f"--{label}: RELION sets this option itself; leave out the parameter")
        action = options.get(flag)
        if action is not None and action.nargs == 0 and len(values) == 1:
            flag, values = _switched(flag, values[0], options), []
        if flag is not None:
            found += [flag, *values]
    if not directory:
        raise UsageError("--o: needs the directory of the job")
    return RelionCall(directory, found)


def _labelled(argv):
    """Pairs of a label and the list of its values."""
    pairs = []
    for word in argv:
        if word.startswith("--") and len(word) > 2:
            label, equals, value = word[2:].partition("=")
            pairs.append((label, [value] if equals else []))
        elif pairs:
            pairs[-1][1].append(word)
        else:
            raise UsageError(f"{word}: a value without a label; RELION gives every value as --label value")
    return pairs


def _switched(flag, value, options):
    """The option for a switch with a value; None for a switch that is off by default."""
    if value.lower() in _YES:
        return flag
    if value.lower() not in _NO:
        raise UsageError(f"{flag} {value}: takes no value; leave it empty, or write yes or no")
    opposite = f"--{flag[5:]}" if flag.startswith("--no-") else f"--no-{flag[2:]}"
    return opposite if opposite in options else None
