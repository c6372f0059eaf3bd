"""Texts for users contain no banned phrases: inversions, riddles, "that of"."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

BANNED = (
    "told are", "not told from", "tells it beforehand", "what it reads", "what this part reads", "what that reads",
    "of what is", "by how much of it", "same map twice", "as they should be", "for want of", "means nothing",
    "which has to be fully occupied", "has to lie in", "outside of the map", "than chance explains", "is surest",
    "that what", "cannot be told apart", "is none of them", "errors hold", "stays what it is", "is what is modified",
    "those of this map", "other way round", "put the tables together", "hand the maps", "leave maps alone",
    "take everything for content", "say more on the terminal", "drown in the noise", "no core to speak of",
    "which is which", "what was measured", "what was run", "a mask tells", "in the way that", "how sure", "as is told",
    "what comes out", "what stands", "what lies", "leaves nothing behind", "will do", "is said of", "goes together",
    "by nobody", "would be nobody", "what was found", "flexibility takes from it", "must lie in the map",
)
PATTERNS = (*(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in BANNED), r"which\s+is\s+told",
            r"is\s+told\s*[;:,.]",
            r"\b(?:is|are)\s+no\s+(?:list|record|table\s+of|task|JSON|space\s+group|number\s+of)\b")
FORBIDDEN = re.compile("|".join(rf"\b{pattern}" for pattern in PATTERNS), re.IGNORECASE)


def messages(path):
    """(line, text) of the string literals of a module with blanks, with {} for values; no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    passed |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
            text = node.value
        else:
            continue
        if " " in text:
            yield node.lineno, text


def found_in(text):
    return [match.group() for match in FORBIDDEN.finditer(text)]


def test_messages_of_the_program_are_plain():
    modules = sorted((ROOT / "occupy_jit").rglob("*.py"))
    assert len(modules) > 100
    assert [f"{path.relative_to(ROOT)}:{line}: {phrase}" for path in modules for line, text in messages(path)
            for phrase in found_in(text)] == []


@pytest.mark.parametrize("pattern", ["README.md", "docs/**/*.md", "man/sections/*.roff",
                                     "occupy_jit/reports/page/assets/*.j2"])
def test_texts_are_plain(pattern):
    paths = sorted(ROOT.glob(pattern))
    assert paths
    assert [f"{path.name}: {phrase}" for path in paths for phrase in found_in(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("text", ["Told are maps\nthat differ", "solvent is not told\nfrom content",
                                  "is no list of names",
                                  "the half maps are the same map twice"])
def test_a_banned_phrase_is_found_also_across_lines(text):
    assert found_in(text)


def test_a_message_is_found_and_a_docstring_is_not(tmp_path):
    (tmp_path / "module.py").write_text('"""As told are."""\nN = 1\n"""Of what is."""\nraise ValueError(f"{N}: told "\n'
                                        '                 "are two")\n', encoding="utf-8")
    assert list(messages(tmp_path / "module.py")) == [(4, "{}: told are two")]
