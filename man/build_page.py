"""Make man/OccuPy.1 from the parser's options and the hand-written sections in man/sections.

    python man/build_page.py            writes the page
    python man/build_page.py --check    exits 1, and shows the difference, if the page is out of step

Needs argparse-manpage. `BuildPage` is the setuptools command that makes the page when the package is built.
"""

import difflib
import functools
import os
import sys

from argparse_manpage.manpage import Manpage
from build_manpages import build_manpages

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "man", "OccuPy.1")
# When the sections were last changed by hand. Not the day of the build: the same sources give the same page.
DATE = "2026-11-28"
BEFORE_OPTIONS = ("synopsis", "description")
AFTER_OPTIONS = ("model", "ligands", "states", "classification", "many_maps", "examples", "files", "exit_status",
                 "environment", "citation")


def page():
    """Return the text of the page, in ASCII."""
    sys.path.insert(0, ROOT)
    try:
        from occupy_jit import __version__
        from occupy_jit.cli import parser as command_line
    finally:
        sys.path.remove(ROOT)
    parser = command_line.build_parser()
    # Neither the terminal's width nor what is said elsewhere on the page belongs here.
    parser.formatter_class = functools.partial(command_line.HelpFormatter, width=1000)
    parser.description = parser.epilog = None
    groups = [group.title for group in parser._action_groups]
    manual = Manpage(parser, _data={
        "project_name": "occupy_jit",
        "version": __version__,
        "description": "local scale and occupancy of cryo-EM maps",
        "manual_title": "User Commands",
        "date": DATE,
    })
    for name in BEFORE_OPTIONS + AFTER_OPTIONS:
        # No line of a section may begin with [ or /, which start the next entry of an include file.
        manual.parse_include(os.path.join(ROOT, "man", "sections", name + ".roff"))
    return _ascii(_as_typed(_one_options_section(str(manual), groups)))


def _one_options_section(text, groups):
    """Groups of options are subsections of OPTIONS, where people look for them, not sections of their own."""
    lines, inside = [], False
    titles = {f".SH {title.upper()}": title for title in groups}
    for line in text.splitlines():
        if line in titles:
            if not inside:
                lines.append(".SH OPTIONS")
            inside = True
            line = f".SS {titles[line].capitalize()}"
        if line.startswith(".TH "):  # a date with escaped hyphens is no date to mandoc
            line = line.replace(r"\-", "-")
        # A blank line in roff is a vertical space of its own, on top of the one that .TP and .SH make.
        if line:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _as_typed(text):
    """Examples and tables in a font of fixed width, also on paper, and indented once, so that 80 columns hold them."""
    lines, inside = [], False
    for line in text.splitlines():
        if line in (".nf", ".fi"):
            inside = line == ".nf"
            line = ".EX" if inside else ".EE"
        elif inside and line in (".RS", ".RE"):
            continue
        lines.append(line)
    return "\n".join(lines) + "\n"


def _ascii(text):
    """roff's own names for letters, which every formatter knows in every locale."""
    text = text.replace("Å", r"\(oA")
    text.encode("ascii")  # a UnicodeEncodeError names the letter that is missing above
    return text


class BuildPage(build_manpages):
    """The command of argparse-manpage, with the page made by this module."""

    def run(self):
        for name in self.manpages_data:
            self.announce(f"generating {name}", level=2)
            with open(os.path.join(ROOT, name), "w", encoding="ascii") as file:
                file.write(page())


def main(arguments):
    """Write the page, or with --check compare it; return the exit status."""
    text = page()
    if arguments == ["--check"]:
        with open(PAGE, encoding="utf-8") as file:
            committed = file.read()
        difference = difflib.unified_diff(committed.splitlines(), text.splitlines(), "man/OccuPy.1", "made anew",
                                          lineterm="")
        print("\n".join(difference), end="")
        if committed != text:
            print("\nman/OccuPy.1 is out of step: run python man/build_page.py", file=sys.stderr)
        return int(committed != text)
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    with open(PAGE, "w", encoding="ascii") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
