"""--select: what is understood, what holds, and what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occupy_jit.errors import UsageError
from occupy_jit.queries.query import Query

VALUES = {"L17": 0.9, "L28": 0.1, "A/HEM201": 0.5, "state": 2, "lost": math.nan}


@pytest.mark.parametrize("text, holds", [
    ("L17>0.8 and L28<0.2", True),
    ("L17 > .8 AND L28 < 2e-1", True),
    ("L17>0.95 or L28<0.2", True),
    ("L17>0.95 or L28<0.05 and state==2", False),
    ("not L17>0.95 and not (L28>0.2 or state != 2)", True),
    ("'A/HEM201' >= .5 & state = 2", True),
    ("A/HEM201<.5", False),
    ("(((L17<=0.9)))", True),
    ("lost>0", False), ("lost<=0", False), ("lost != 3", False), ("not lost>0", True),
])
def test_what_holds(text, holds):
    assert Query(text).holds(VALUES) is holds


@pytest.mark.parametrize("text, told", [
    ("", "is empty"), ("L17", "a comparison"), ("L17>", "nothing after L17>"), ("L17>x", "x after L17>"),
    (">3", "a name is missing"), ("L17>1 L28<2", "L28 is not expected"), ("(L17>1", "bracket"),
    ("L17>1 and", "name is missing at the end"), ("L17>1 and or L28<1", "comparison"),
    ("(" * 80 + "a>1" + ")" * 80, "too many"),
    ("a>1)", "not expected"), ('"a>1', "cannot be read"), ("__import__('os')>1", "comparison"),
])
def test_what_is_refused_in_one_line(text, told):
    with pytest.raises(UsageError, match="--select") as error:
        Query(text)
    assert told in str(error.value) and "\n" not in str(error.value).replace(text, "")


def test_names_that_are_asked_about():
    assert Query("b>1 and (a<2 or not b<0)").names == ["b", "a"]


@given(st.text(max_size=60))
def test_any_text_is_a_query_or_refused(text):
    try:
        Query(text)
    except UsageError:
        pass
