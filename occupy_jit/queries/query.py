"""Parsing of ``--select``, before any file is read.

    L17 > 0.8 and L28 < 0.2
    state == 3 or not ("A/HEM201" >= 0.5)

Standard library only; the text is never evaluated as code.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, NamedTuple

from occupy_jit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE = "state"
"""Name for the number of the state, unless a part has this name."""
_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
              "=": operator.eq, "!=": operator.ne}
_TOKEN = re.compile(r"""
    \s* (?: (?P<quoted> "[^"]*" | '[^']*' )
        | (?P<sign> <= | >= | == | != | < | > | = | \( | \) )
        | (?P<word> [^\s<>=!()"']+ ) )
""", re.VERBOSE)
_DEEPEST = 50


class Comparison(NamedTuple):
    """A name, a comparison and a number."""

    name: str
    sign: str
    number: float


class Query:
    """A condition on volumes.

    Parameters
    ----------
    text : str

    Attributes
    ----------
    names : list of str
        Names in the condition, each once.

    Raises
    ------
    UsageError
        The text cannot be parsed.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens, self._at, self._depth = _tokens(text), 0, 0
        self._tree = self._either()
        if self._at < len(self._tokens):
            self._refuse(f"{self._tokens[self._at][1]} is not expected there")
        self.names = list(dict.fromkeys(_names(self._tree)))

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether the condition is true.

        Parameters
        ----------
        values : mapping
            Name -> number; a comparison with an unknown number (NaN) is false.
        """
        return _holds(self._tree, values)

    def _refuse(self, reason):
        raise UsageError(f"--select {self.text}: {reason}; write as in \"L17>0.8 and L28<0.2\", with and, or, not and "
                         "brackets")

    def _next(self):
        return self._tokens[self._at] if self._at < len(self._tokens) else (None, "")

    def _take(self, *words):
        kind, text = self._next()
        if kind != "quoted" and text.lower() in words:
            self._at += 1
            return True
        return False

    def _either(self):
        found = [self._both()]
        while self._take("or", "|", "||"):
            found.append(self._both())
        return found[0] if len(found) == 1 else ("or", found)

    def _both(self):
        found = [self._one()]
        while self._take("and", "&", "&&"):
            found.append(self._one())
        return found[0] if len(found) == 1 else ("and", found)

    def _one(self):
        self._depth += 1
        if self._depth > _DEEPEST:
            self._refuse("too many brackets")
        try:
            if self._take("not"):
                return ("not", [self._one()])
            if self._take("("):
                found = self._either()
                if not self._take(")"):
                    self._refuse("a bracket is not closed")
                return found
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self):
        (kind, name), sign, number = self._next(), None, None
        if kind not in ("word", "quoted"):
            self._refuse(f"a name is missing{' before ' + name if name else ' at the end'}")
        self._at += 1
        kind, sign = self._next()
        if sign not in _OPERATORS or kind != "sign":
            self._refuse(f"after {name} a comparison (< > <= >= ==) is missing")
        self._at += 1
        kind, text = self._next()
        try:
            number = float(text)
        except ValueError:
            self._refuse(f"{text or 'nothing'} after {name}{sign} is not a number")
        self._at += 1
        return Comparison(name, sign, number)


def _tokens(text):
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UsageError(f"--select {text}: {text[at:].strip()[:20]} cannot be read; write as in \"L17>0.8 and "
                             "L28<0.2\"")
        kind = match.lastgroup or ""
        found.append((kind, match[kind][1:-1] if kind == "quoted" else match[kind]))
        at = match.end()
    if not found:
        raise UsageError("--select: is empty; write as in \"L17>0.8 and L28<0.2\"")
    return found


def _names(tree):
    if isinstance(tree, Comparison):
        return [tree.name]
    return [name for branch in tree[1] for name in _names(branch)]


def _holds(tree, values):
    if isinstance(tree, Comparison):
        return bool(_OPERATORS[tree.sign](values[tree.name], tree.number)) and values[tree.name] == values[tree.name]
    kind, branches = tree
    if kind == "not":
        return not _holds(branches[0], values)
    return (all if kind == "and" else any)(_holds(branch, values) for branch in branches)
