"""The argument parser behind the command line, with helpful errors in one line.

The options themselves are in `occupy_jit.cli.parser`. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import re
from typing import Any

from occupy_jit import PROGRAM, settings
from occupy_jit.errors import UsageError

# --- types: one clear sentence for unreadable values; Settings and Options check ranges -------------------------------


def number(text: str) -> float:
    """A number from the command line."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number") from None


def whole(text: str) -> int:
    """A whole number from the command line."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None


def noise_floor(text: str) -> Any:
    """A noise floor from the command line: None for auto, "local", or a number."""
    if text == "auto":
        return None
    if text == settings.LOCAL:
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is neither auto, local nor a number") from None


# --- the parser ------------------------------------------------------------------------------------------------------


class Switch(argparse.Action):
    """A pair of flags, the first of which stores `on` and the second `off`."""

    def __init__(self, option_strings: list[str], dest: str, on: bool | int = True, off: bool | int = False,
                 **kwargs: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **kwargs)
        self.on, self.off = on, off

    def __call__(self, parser: Parser, namespace: Any, values: list[Any], option_string: str | None = None) -> None:
        setattr(namespace, self.dest, self.on if option_string == self.option_strings[0] else self.off)


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal, at most 100 columns."""

    def __init__(self, prog: Any, width: Any = None) -> None:
        # argparse would import shutil (and with it the compression modules) only for the width.
        super().__init__(prog, max_help_position=32, width=width or _terminal_width())


def _terminal_width():
    try:
        columns = int(os.environ.get("COLUMNS", 0)) or os.get_terminal_size(1).columns
    except (ValueError, OSError):
        columns = 80
    return max(40, min(columns, 100) - 2)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises UsageError with one line, accepts underscores, and suggests options."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # argparse accepts -0.5 as a value but takes -5e-1 for an unknown option.
        self._negative_number_matcher = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$", re.ASCII)

    def error(self, message: Any) -> None:
        """Raise UsageError."""
        message = message.removeprefix("argument ")
        raise UsageError(re.sub(r"ignored explicit argument (.*)", r"takes no value, but \1 was given", message))

    def parse_known_args(self, args: list[str] | None = None, namespace: Any = None) -> tuple[Any, list[Any]]:
        """As in argparse, with underscores as hyphens."""
        if args is not None:
            args = self._with_hyphens(args)
        return super().parse_known_args(args, namespace)

    def parse_args(self, args: list[str] | None = None, namespace: Any = None) -> Any:
        """As in argparse, with suggestions for unknown arguments in UsageError."""
        namespace, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(self._explain(unknown[0]))
        return namespace

    def _with_hyphens(self, args):
        """--output_map=a_b.mrc becomes --output-map=a_b.mrc; values, and everything after --, are not changed."""
        args = list(args)
        for i, arg in enumerate(args):
            if arg == "--":
                break
            if arg.startswith("--"):
                name, equals, value = arg.partition("=")
                hyphenated = name.replace("_", "-")
                if hyphenated in self._option_string_actions:
                    args[i] = hyphenated + equals + value
        return args

    def _explain(self, arg):
        """Message about an unknown argument."""
        if not arg.startswith("-"):
            return f"{arg}: not an option; maps are given with -i"
        from difflib import get_close_matches

        name = arg.partition("=")[0].replace("_", "-")
        shown = [flag for action in self._actions for flag in action.option_strings]
        close = get_close_matches(name, shown, n=1, cutoff=0.6)
        extended = [flag for flag in shown if flag.startswith(name)] if len(name) > 3 else []
        if len(extended) == 1:
            close = extended
        hint = f"did you mean {close[0]}?" if close else f"{PROGRAM} --help lists the options"
        return f"{arg}: unknown option; {hint}"


def add_option(group: Any, *flags: str, text: str, path: str | None = None, **kwargs: Any) -> None:
    """Add one option: a row of the table in `occupy_jit.cli.parser`.

    Its field of `Settings` or `Options` is ``dest`` or the long name with underscores. Only given options are in the
    namespace; the help shows the default of the field if there is one.

    Parameters
    ----------
    group : argument group
    *flags : str
    text : str
        The help.
    path : {"file", "map", "directory"}, optional
        Kind of path in the value, for shell completion.
    **kwargs
        As for ``add_argument``.
    """
    dest = kwargs.get("dest") or next(flag for flag in flags if flag.startswith("--"))[2:].replace("-", "_")
    default = settings.default(dest)
    if kwargs.get("action") is Switch:
        default = "on" if default else None
    if isinstance(default, float):
        default = f"{default:g}"
    if default not in (None, False, ()):
        text += f" (default: {default})"
    group.add_argument(*flags, help=text, default=argparse.SUPPRESS, **kwargs).path = path
