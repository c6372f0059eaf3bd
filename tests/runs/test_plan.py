"""What will be written, said before anything is: roles, names, and what must not be overwritten."""

import gzip
import os
import pickle

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from occupy_jit.errors import InputError, UsageError
from occupy_jit.modifications import TABLE, requested
from occupy_jit.runs.many_maps.run import plan_all
from occupy_jit.runs.plan.inputs import expand
from occupy_jit.runs.plan.names import names_for
from occupy_jit.runs.plan.output_kinds import FACTORS, MAPS, Output, Role, output_of
from occupy_jit.runs.plan.plan import check_names, described, plan_map
from occupy_jit.settings import Options, Settings
from tests.command import particle, write


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write(tmp_path_factory.mktemp("plan") / "a.mrc", particle(24))


@hypothesis_settings(deadline=None, max_examples=100)
@given(st.fixed_dictionaries({
    "amplify": st.booleans(), "exclude_solvent": st.booleans(), "amplify_gamma": st.none() | st.just(2.0),
    "attenuate_gamma": st.none() | st.just(2.0), "sigmoid_gamma": st.none() | st.just(2.0),
    "plain_factors": st.booleans()}),
       st.fixed_dictionaries({"save_all_maps": st.booleans(), "plot": st.booleans(), "save_chimerax": st.booleans(),
                              "json": st.booleans(), "subtraction_mask": st.booleans(),
                              "save_solvent_def": st.none() | st.just(0.3)}),
       st.none() | st.just("class 1"))
def test_every_file_once_and_by_its_role(path, chosen, options, label):
    settings, options = Settings(**chosen), Options(**options)
    plan = plan_map(path, settings, options, label)
    kinds = requested(settings)
    paths = [output.path for output in plan.outputs]
    assert len(set(paths)) == len(paths)
    assert plan.path_of(Role.SCALE) == os.path.join(".", "scale_a.mrc")
    for kind in kinds:
        assert plan.path_of(Role.MODIFIED, kind).endswith(f"{kind.prefix}a.mrc")
        # one factor, or those of two bands where it amplifies and plain factors were not asked for
        by_bands = kind.amplifies and not settings.plain_factors
        for role in FACTORS:
            wanted = options.save_all_maps and (role is Role.FACTOR) != by_bands
            assert (plan.path_of(role, kind) is not None) == wanted
    assert (plan.path_of(Role.NEIGHBOURHOOD) is not None) == (
        options.save_all_maps and not settings.plain_factors and any(kind.amplifies for kind in kinds))
    roles = {output.role for output in plan.outputs}
    assert (Role.MODIFIED in roles) == bool(kinds)
    for role, wanted in ((Role.CONFIDENCE, options.save_all_maps), (Role.PLOT, options.plot),
                         (Role.SUBTRACTION_MASK, options.subtraction_mask), (Role.PLAIN_COPY, False),
                         (Role.SOLVENT_DEFINITION, options.save_solvent_def is not None),
                         # what tells of a map of a group is the group's
                         (Role.CHIMERAX, options.save_chimerax and label is None),
                         (Role.RECORD, options.json and label is None), (Role.LOG, label is None)):
        assert (role in roles) == wanted
    assert all(output.path.endswith((".mrc", ".map")) == (output.role in MAPS) for output in plan.outputs)
    again = pickle.loads(pickle.dumps(plan))
    assert again.outputs == plan.outputs and again.header.shape == plan.header.shape
    assert again.path_of(Role.SCALE) == plan.path_of(Role.SCALE)
    assert sum("would write" in line for line in described(plan)) == len(plan.outputs)


@pytest.mark.parametrize(("suffix", "pack"), [(".mrc.gz", gzip.compress), (".mrc", gzip.compress),
                                              (".map.gz", bytes), (".mrc", bytes)])
def test_a_compressed_input_gets_a_plain_copy_where_nothing_else_could_be_coloured(suffix, pack, path, tmp_path):
    """By content or by name: ChimeraX goes by the name, and cannot unpack."""
    name = tmp_path / f"packed{suffix}"
    with open(path, "rb") as file:
        name.write_bytes(pack(file.read()))
    compressed = suffix.endswith(".gz") or pack is gzip.compress
    for settings, options, wanted in ((Settings(), Options(), compressed), (Settings(amplify=True), Options(), False),
                                      (Settings(), Options(save_chimerax=False), False)):
        plan = plan_map(str(name), settings, options)
        assert (plan.path_of(Role.PLAIN_COPY) is not None) == wanted
        assert not wanted or plan.path_of(Role.PLAIN_COPY) == os.path.join(".", "map_packed.map")


def outputs(*paths):
    return tuple(Output(Role.SCALE, str(path)) for path in paths)


def test_names_that_must_not_be(tmp_path):
    a, b, c = (tmp_path / name for name in "abc")
    a.write_text("")
    os.link(a, c)
    check_names([("one", outputs(b)), ("two", outputs(tmp_path / "d"))], [str(a)])
    for writers, said in (([("one", outputs(a))], "would overwrite the input"),
                          ([("one", outputs(c))], "would overwrite the input"),  # by another name
                          ([("one", outputs(b, b))], "two outputs would have this name"),
                          ([("one", outputs(b)), ("two", outputs(b))], "two and one would both write")):
        with pytest.raises(UsageError, match=said):
            check_names(writers, [str(a)])


def test_what_is_wrong_with_one_map_does_not_stop_the_others_and_names_do(path, tmp_path):
    absent = str(tmp_path / "absent.mrc")
    plans, refused = plan_all([path, absent], Settings(), Options(output_dir=str(tmp_path)))
    assert [plan.path for plan in plans] == [path]
    assert [(outcome.path, outcome.status, outcome.kind) for outcome in refused] == [(absent, 3, "error")]
    assert "absent.mrc" in refused[0].message
    with pytest.raises(UsageError, match="are the same map, and would both write .*; name it once"):
        plan_all([path, os.path.join(os.path.dirname(path), ".", "a.mrc")], Settings(), Options())
    with pytest.raises(InputError, match="absent_mask"):
        plan_map(path, Settings(), Options(target_mask=("absent_mask.mrc",)))


def test_the_table_of_modifications():
    """The rows that asked alike before there was a table."""
    asked = Settings(amplify=True, amplify_gamma=2.0, attenuate_gamma=2.0, sigmoid_gamma=2.0, exclude_solvent=True)
    assert [row.name for row in requested(asked)] == [row.name for row in TABLE if not row.alone]
    assert {row.name for row in requested(asked) if row.amplifies} == {"amplify", "amplify-gamma", "sigmoid-gamma"}
    assert {row.name for row in requested(asked) if row.removes} == {"attenuate-gamma", "sigmoid-gamma"}
    lowered, = requested(Settings(amplify=True, amplify_amount=-0.5))
    assert lowered.removes and not lowered.amplifies
    nothing, = requested(Settings(amplify=True, amplify_amount=0.0))
    excluded, = requested(Settings(exclude_solvent=True))
    assert not (nothing.removes or nothing.amplifies or excluded.removes or excluded.amplifies)
    assert len({row.prefix for row in TABLE if not row.alone}) == len(TABLE) - 1


def test_no_two_kinds_of_files_have_one_name_or_one_word():
    """A table that gave two kinds one name would let one file replace the other."""
    single = [role for role in Role if role not in (Role.MODIFIED, Role.STAR)]
    assert len({(role.prefix, role.suffix) for role in single}) == len(single)
    assert len({role.value for role in Role}) == len(list(Role))
    assert {role for role in Role if role.suffix in (".mrc", ".map")} == MAPS


@pytest.mark.parametrize("role", sorted(MAPS, key=lambda role: role.name))
def test_maps_that_the_program_has_written_are_no_inputs_of_their_directory(tmp_path, role):
    names = names_for("a.mrc", str(tmp_path))
    made = [output_of(role, names, kind) for kind in TABLE] if role is Role.MODIFIED else [output_of(role, names)]
    (tmp_path / "a.mrc").write_bytes(b"")
    for output in made:
        with open(output.path, "wb"):
            pass
    found = expand([str(tmp_path)])
    assert [os.path.basename(path) for path in found.maps] == ["a.mrc"]
    assert sorted(found.ours) == sorted({output.path for output in made})
