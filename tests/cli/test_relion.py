"""The command line that RELION writes."""

import pytest

from occupy_jit.cli.parser import build_parser
from occupy_jit.cli.relion import job_directory, translate
from occupy_jit.errors import UsageError


def _argv(text):
    return translate(text.split(), build_parser()).argv


@pytest.mark.parametrize("text, expected", [
    ("--o External/job004/ --in_3dref ref.mrc --in_mask mask.mrc --amplify --lowpass_input 8 --j 4",
     "--output-dir External/job004/ --input-map ref.mrc --solvent-def mask.mrc --amplify --lowpass-input 8 "
     "--threads 4"),
    ("--o E/ --in_3dref r.mrc --amplify yes --plot no --exclude-solvent False --j 1 --pipeline_control E/",
     "--output-dir E/ --input-map r.mrc --amplify --no-plot --threads 1"),
    ("--in_3dref r.mrc --o E/ --target_mask a.mrc b.mrc --no-json 0",
     "--input-map r.mrc --output-dir E/ --target-mask a.mrc b.mrc --json"),
    ("--o E/ --relion-classes m.star --amplify-amount -1 --pipeline_control",
     "--output-dir E/ --relion-classes m.star --amplify-amount -1"),
    ("--o E/ --in_movies --in_3dref r.mrc", "--output-dir E/ --input-map r.mrc"),
    ("--o=E/ --in_3dref=r.mrc", "--output-dir E/ --input-map r.mrc"),
])
def test_translation(text, expected):
    assert _argv(text) == expected.split()
    assert job_directory(text.split()) == translate(text.split(), build_parser()).directory == (
        "External/job004/" if "job004" in text else "E/")


@pytest.mark.parametrize("text, words", [
    ("--o E/ --in_mics m.star", "micrographs"),
    ("--o E/ --in_3dref r.mrc --amplify maybe", "takes no value"),
    ("--o E/ --in_3dref r.mrc --output_dir F/", "RELION sets this option itself"),
    ("--o --in_3dref r.mrc", "directory of the job"),
    ("stray --o E/", "without a label"),
])
def test_calls_that_cannot_be_obeyed(text, words):
    with pytest.raises(UsageError, match=words):
        _argv(text)


@pytest.mark.parametrize("text", ["-i a.mrc -o out.mrc", "-i --output-map x", "--demo -- --o E/", ""])
def test_other_callers(text):
    assert job_directory(text.split()) is None
