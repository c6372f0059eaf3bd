"""The manual page and the options as Markdown, from the one source that there is: the parser and man/sections."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

_LETTERS = {r"\-": "-", r"\&": "", r"\,": "", r"\/": "", r"\e": "\\", r"\(oA": "Å",
            r"\(dq": '"', r"\(aq": "'", r"\(bu": "•", r"\~": " "}
_NAMED = {"S2": "²", "+-": "±", "u00C5": "Å", "C*a": "α", "u03B1": "α", "rs": "\\", "dq": '"'}
_FONTS = {"B": "B", "I": "I", "R": "R", "P": "R"}


def _plain(text):
    """Letters instead of roff's names of them; fonts stay as they are."""
    def named(match):
        name = match.group(1)
        if name in _NAMED:
            return _NAMED[name]
        return chr(int(name[1:], 16)) if re.fullmatch(r"u[0-9A-F]{4,5}", name) else name

    text = re.sub(r"\\\[([^]]+)\]", named, text)
    for name, letter in _LETTERS.items():
        text = text.replace(name, letter)
    return text.replace("\\\\", "\\")


def _escaped(text):
    return re.sub(r"([\\`*_{}\[\]<>#|$~])", r"\\\1", text)


def _runs(text):
    """(font, text) of a line with fonts in it."""
    font, found = "R", []
    for piece in re.split(r"(\\f[BIRP])", text):
        if re.fullmatch(r"\\f[BIRP]", piece):
            font = _FONTS[piece[2]]
        elif piece:
            found.append((font, piece))
    return found


def _marked(runs):
    merged = []
    for font, text in runs:
        text = _plain(text)
        if merged and merged[-1][0] == font:
            merged[-1] = (font, merged[-1][1] + text)
        else:
            merged.append((font, text))
    out = ""
    for font, text in merged:
        inner = text.strip()
        if font == "R" or not inner:
            out += _escaped(text)
        elif font == "B":  # what is typed
            out += text.replace(inner, f"`{inner}`", 1)
        else:
            out += text.replace(inner, f"*{_escaped(inner)}*", 1)
    return out.replace("``", "` `")


def _arguments(text):
    """Arguments of a macro, quoted or not."""
    return [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', text)]


def _macro(name, rest):
    """A line with a font macro as runs."""
    if name in ("B", "I"):
        return [(name, " ".join(_arguments(rest)))]
    fonts = {"BR": "BR", "IR": "IR", "RB": "RB", "RI": "RI", "BI": "BI", "IB": "IB"}[name]
    return [(fonts[k % 2], word) for k, word in enumerate(_arguments(rest))]


class _Page:
    """Builds Markdown line by line."""

    def __init__(self):
        self.out, self.paragraph, self.term = [], [], None
        self.code = None

    def flush(self):
        if self.paragraph:
            text = " ".join(part for part in (_marked(runs) for runs in self.paragraph) if part.strip())
            self.paragraph = []
            if self.term is not None:
                self.out += [self.term, f": {text}", ""]
                self.term = None
            else:
                self.out += [text, ""]

    def line_of_code(self, text):
        if text == ".EE":
            while self.code and not self.code[-1].strip():
                self.code.pop()
            self.out += ["```text", *self.code, "```", ""]
            self.code = None
        elif not re.match(r"\.(RS|RE|PP|br)\b", text):
            self.code.append("".join(_plain(piece) for _, piece in self.typed(text)))

    def line(self, text):
        if self.code is not None:
            self.line_of_code(text)
            return
        if not text.startswith("."):
            self.paragraph.append(_runs(text))
            return
        name, _, rest = text[1:].partition(" ")
        if name in ("SH", "SS"):
            self.flush()
            title = _plain(rest).strip('"')
            title = title if name == "SS" else title.capitalize()
            self.out += [("## " if name == "SH" else "### ") + _escaped(title), ""]
        elif name in ("PP", "RS", "RE"):
            self.flush()
        elif name == "br":
            self.paragraph.append([("R", " ")])
            self.flush()
        elif name in ("TP", "IP"):
            self.flush()
            if name == "IP" and rest:
                self.paragraph.append([("R", f"({_arguments(rest)[0].rstrip('.')})")])
        elif name == "EX":
            self.flush()
            self.code = []
        elif name == "TH":
            pass
        else:
            self.paragraph.append(_macro(name, rest))

    @staticmethod
    def typed(text):
        """Runs of a line of code, in which a font is not shown."""
        if text.startswith("."):
            name, _, rest = text[1:].partition(" ")
            return _macro(name, rest)
        return _runs(text)


def markdown(roff):
    """The page as Markdown with definition lists.

    Parameters
    ----------
    roff : str
        With the macros of man(7) that the page uses.

    Returns
    -------
    str
    """
    page = _Page()
    term = False
    for text in roff.splitlines():
        if text.startswith(".\\\"") or text.startswith("'\\\""):
            continue
        if term:  # the line after .TP
            runs = page.typed(text)
            page.term, term = _marked(runs), False
            continue
        page.line(text)
        term = text.startswith(".TP") and page.code is None
    page.flush()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(page.out)) + "\n"


def options():
    """Tables of the options, a section for each group of the parser."""
    from occupy_jit.cli.parser import build_parser

    lines = []
    for group in build_parser()._action_groups:
        rows = [action for action in group._group_actions if action.option_strings]
        if not rows:
            continue
        lines += [f"## {group.title.capitalize()}", ""]
        if group.description:
            lines += [group.description, ""]
        lines += ["| option | meaning |", "|---|---|"]
        for action in rows:
            names = ", ".join(f"`{flag}`" for flag in action.option_strings)
            metavar = action.metavar or ("" if action.choices is None else "|".join(map(str, action.choices)))
            value = "" if action.nargs == 0 or not metavar else " " + _escaped(
                metavar if isinstance(metavar, str) else " ".join(metavar))
            lines.append(f"| {names}{value} | {_escaped((action.help or '').replace('%%', '%'))} |")
        lines.append("")
    return "\n".join(lines)


def write_pages(folder):
    """Write ``options.md`` and ``manual.md`` below `folder`."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(ROOT, "man", "OccuPy.1"), encoding="utf-8") as file:
        manual = markdown(file.read())
    for name, text in (("options.md", "# Options\n\n" + options()), ("manual.md", "# Manual page\n\n" + manual)):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                if file.read() == text:
                    continue
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
