"""Outputs are complete or absent: full disks, limits, vanished directories and signals, in real processes."""

import contextlib
import errno
import os
import pathlib
import resource
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from occupy_jit.errors import OccupyError
from occupy_jit.files.names.paths import same_file, shown
from occupy_jit.files.output.signals import install_signal_handlers
from occupy_jit.files.output.transaction import Outputs, replaced, write_error

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def run():
    """Start a script with the package importable, in a directory of its own; a test that fails leaves none running."""
    started = []

    def start(script, cwd, *arguments, **options):
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)], cwd=cwd,
                                   text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, **options)
        started.append(process)
        return process
    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            process.communicate()


def test_the_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "a b.ü.mrc"
    path.write_text("old")
    with replaced(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
        temporary, = (name for name in os.listdir(tmp_path) if name != path.name)
        assert temporary.startswith(f".{path.name}.") and temporary.endswith(".tmp")
    assert path.read_text() == "new" and os.listdir(tmp_path) == [path.name]


def test_text_is_utf8_with_line_ends_as_written(tmp_path):
    with replaced(tmp_path / "t", "w") as file:
        file.write("Å\r\n\n")
    assert (tmp_path / "t").read_bytes() == "Å\r\n\n".encode()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit])
def test_any_exception_leaves_nothing(tmp_path, error):
    (tmp_path / "a").write_text("old")
    with pytest.raises(error), replaced(tmp_path / "a") as file:
        file.write(b"new")
        raise error
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(tmp_path, umask):
    before = os.umask(umask)
    try:
        with replaced(tmp_path / "a") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path):
    (tmp_path / "elsewhere").write_text("precious")
    os.symlink("elsewhere", tmp_path / "link")
    with replaced(tmp_path / "link") as file:
        file.write(b"new")
    assert not (tmp_path / "link").is_symlink() and (tmp_path / "link").read_text() == "new"
    assert (tmp_path / "elsewhere").read_text() == "precious"


def test_names_as_long_as_the_file_system_takes(tmp_path):
    name = "ü" * 127  # 254 bytes: the temporary name has to be shorter than the final one with its decorations
    with replaced(tmp_path / name) as file:
        file.write(b"x")
    assert os.listdir(tmp_path) == [name]
    with pytest.raises(OccupyError, match="too long"), replaced(tmp_path / ("a" * 256)) as file:
        file.write(b"x")


def test_what_is_not_a_file_is_never_replaced(tmp_path):
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("directory", "is a directory"), ("pipe", "device")):
        with pytest.raises(OccupyError, match=message), replaced(tmp_path / name):
            pass
    assert sorted(os.listdir(tmp_path)) == ["directory", "pipe"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE,
                                  errno.EACCES, errno.ENOTCONN])
def test_every_fault_is_one_line_with_advice(tmp_path, code):
    with pytest.raises(OccupyError) as caught, replaced(tmp_path / "a") as file:
        file.write(b"x")
        raise OSError(code, os.strerror(code))
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'a'}: cannot be written: ") and "; " in text and "\n" not in text
    assert caught.value.exit_status == 1 and os.listdir(tmp_path) == []


def test_a_directory_that_is_missing_or_vanishes(tmp_path):
    with pytest.raises(OccupyError, match="directory does not exist"), replaced(tmp_path / "no" / "a"):
        pass
    (tmp_path / "d").mkdir()
    with pytest.raises(OccupyError, match="directory does not exist"), replaced(tmp_path / "d" / "a") as file:
        file.write(b"x")
        for name in os.listdir(tmp_path / "d"):
            os.unlink(tmp_path / "d" / name)
        os.rmdir(tmp_path / "d")
    assert os.listdir(tmp_path) == []


def test_several_outputs_appear_together(tmp_path):
    with Outputs() as outputs:
        for name in "abc":
            with outputs.open(tmp_path / name, "w") as file:
                file.write(name)
        assert all(name.startswith(".") for name in os.listdir(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


def test_a_run_that_fails_leaves_none_of_its_outputs(tmp_path):
    with pytest.raises(OccupyError), Outputs() as outputs:
        with outputs.open(tmp_path / "a", "w") as file:
            file.write("a")
        with outputs.open(tmp_path / "missing" / "b", "w"):
            pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("earlier", [{}, {"a": "old a"}, {"a": "old a", "b": "old b", "c": "old c"}])
@pytest.mark.parametrize("fault", ["directory", "temporary gone"])
def test_a_rename_that_fails_leaves_everything_as_it_was(tmp_path, earlier, fault):
    """Also the results of an earlier run under these names, and a link where there was one."""
    for name, content in earlier.items():
        (tmp_path / name).write_text(content)
    os.symlink("nowhere", tmp_path / "link")
    with pytest.raises(OccupyError, match="is a directory" if fault == "directory" else "does not exist"), \
            Outputs() as outputs:
        for name in ("a", "link", "b", "c"):
            with outputs.open(tmp_path / name, "w") as file:
                file.write("new")
        # "b" is renamed after "a" and "link"
        if fault == "directory":
            (tmp_path / "b").unlink(missing_ok=True)
            (tmp_path / "b").mkdir()
        else:
            hidden, = (name for name in os.listdir(tmp_path) if name.startswith(".b."))
            (tmp_path / hidden).unlink()
    assert set(os.listdir(tmp_path)) == {*earlier, "link"} | ({"b"} if fault == "directory" else set())
    assert os.readlink(tmp_path / "link") == "nowhere"
    for name, content in earlier.items():
        assert name == "b" and fault == "directory" or (tmp_path / name).read_text() == content


def test_taking_back_without_hard_links(tmp_path, monkeypatch):
    """Some file systems have none (FAT, some of clusters)."""
    def refuse(*names, **options):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_text("old")
    with pytest.raises(OccupyError), Outputs() as outputs:
        for name in "ab":
            with outputs.open(tmp_path / name, "w") as file:
                file.write("new")
        hidden, = (name for name in os.listdir(tmp_path) if name.startswith(".b."))
        (tmp_path / hidden).unlink()
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"
    with replaced(tmp_path / "a", "w") as file:
        file.write("new")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "new"


KILLED = """
    import os, signal
    from occupy_jit.files.output.transaction import Outputs
    outputs = Outputs()
    for name in ("a", "b", "x" * 250):
        with outputs.open(name, "w") as file:
            file.write("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_left_is_removed_by_the_next_with_the_same_outputs(run, tmp_path):
    process = run(KILLED, tmp_path)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    left = sorted(os.listdir(tmp_path))
    assert len(left) == 3 and all(name.startswith(".") for name in left)
    # what other machines, living processes and other programs write is none of our business
    machine, number = left[0].rsplit(".", 2)[1].split("-")[:2]
    others = [left[0].replace(f".{machine}-", ".00000000-"), left[0].replace(f"-{number}-", f"-{os.getpid()}-"),
              left[0].replace(f"-{number}-", "-1-"), ".a.tmp", f".a.{machine}-{number}.tmp", f"{left[0]}.tmp", ".a.swp"]
    for name in others:
        (tmp_path / name).write_text("")
    for name in ("a", "x" * 250):
        with replaced(tmp_path / name, "w") as file:
            file.write("whole")
    assert sorted(os.listdir(tmp_path)) == sorted(["a", "x" * 250, left[1], *others])
    with replaced(tmp_path / "b", "w") as file:
        file.write("whole")
    assert sorted(os.listdir(tmp_path)) == sorted(["a", "b", "x" * 250, *others])


def test_two_runs_at_once_do_not_mix(run, tmp_path):
    script = """
        import sys, time
        from occupy_jit.files.output.transaction import replaced
        for _ in range(30):
            with replaced("same") as file:
                for _ in range(50):
                    file.write(sys.argv[1].encode() * 1000)
                    file.flush()
    """
    runs = [run(script, tmp_path, letter) for letter in "ab"]
    seen = set()
    while any(process.poll() is None for process in runs):
        with contextlib.suppress(FileNotFoundError):
            seen.add((tmp_path / "same").read_bytes())
        time.sleep(0.002)
    for process in runs:
        assert process.communicate()[1] == "" and process.returncode == 0
    assert seen | {(tmp_path / "same").read_bytes()} <= {b"a" * 50_000, b"b" * 50_000}
    assert os.listdir(tmp_path) == ["same"]


def test_same_file(tmp_path):
    (tmp_path / "a").write_text("")
    os.symlink("a", tmp_path / "link")
    os.link(tmp_path / "a", tmp_path / "twin")
    os.symlink(tmp_path, tmp_path / "here")
    for other in ("a", "link", "twin", "here/a", "./a"):
        assert same_file(tmp_path / "a", os.path.join(tmp_path, other))
    assert same_file(tmp_path / "new", tmp_path / "here" / "new")
    assert not same_file(tmp_path / "a", tmp_path / "new") and not same_file(tmp_path / "a", "a\0b")


def test_shown_stays_on_one_line():
    assert shown("a b.ü") == "a b.ü"
    assert shown("a\nb") == r"'a\nb'"
    assert shown(b"\xff").isascii() and shown("") == "''"
    assert "\n" not in str(write_error("a\nb", OSError(errno.EIO, "x")))


# Disk full, as processes ---------------------------------------------------------------------------------------------

WRITE_MAPS = """
    import sys
    import numpy as np
    from occupy_jit.errors import OccupyError
    from occupy_jit.files.output.transaction import Outputs
    from occupy_jit.files.maps.writing import write_map
    from occupy_jit.files.maps.maps import map_from_array
    edge = int(sys.argv[1])
    made = map_from_array(np.arange(edge ** 3).reshape(edge, edge, edge), 1)
    try:
        with Outputs() as outputs:
            write_map("first.mrc", made.data[:, :, :], made, "x", outputs=outputs)
            write_map("second.mrc", made.data, made, "x", outputs=outputs)
            with outputs.open("record.json", "w") as file:
                file.write("x" * int(sys.argv[2]))
    except OccupyError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
"""


@pytest.mark.parametrize("edge, tail, message", [(64, 10, "limit on file sizes"), (20, 500_000, "limit on file sizes")])
def test_file_size_limit(run, tmp_path, edge, tail, message):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    process = run(WRITE_MAPS, tmp_path, edge, tail, preexec_fn=limit)
    said = process.communicate()[1]
    assert process.returncode == 1 and message in said and said.count("\n") == 1, said
    assert os.listdir(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB, where the machine lets us mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True,
                                 text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("edge, tail", [(80, 0), (60, 0), (40, 2_000_000)])
def test_full_disk(run, small_disk, edge, tail):
    process = run(WRITE_MAPS, small_disk, edge, tail)
    said = process.communicate()[1]
    assert process.returncode == 1 and "the disk is full" in said and said.count("\n") == 1, said
    assert os.listdir(small_disk) == []


def test_read_only_directory(run, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    process = run(WRITE_MAPS, small_disk, 20, 0)
    said = process.communicate()[1]
    assert process.returncode == 1 and "read-only" in said and said.count("\n") == 1, said


# Signals, as processes -----------------------------------------------------------------------------------------------

ENDLESS = """
    import sys
    from occupy_jit.files.output.transaction import Outputs
    from occupy_jit.files.output.signals import install_signal_handlers
    assert install_signal_handlers()
    print("ready", flush=True)
    while True:
        with Outputs() as outputs:
            for name in ("a", "b"):
                with outputs.open(name) as file:
                    for _ in range(20):
                        file.write(b"x" * 100_000)
"""


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_signals_at_many_moments(run, tmp_path, signum):
    # Started together and stopped one by one: start-up is what costs.
    places = [tmp_path / str(i) for i in range(8)]
    for place in places:
        place.mkdir()
    processes = [run(ENDLESS, place) for place in places]
    for moment, (process, place) in enumerate(zip(processes, places, strict=True)):
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.0037 * moment)
        process.send_signal(signum)
        said = process.communicate(timeout=60)[1]
        finals = [name for name in os.listdir(place) if not name.startswith(".")]
        assert all((place / name).stat().st_size == 2_000_000 for name in finals)
        assert said == ""
        if signum == signal.SIGKILL:
            assert process.returncode == -signum
        else:
            assert process.returncode == 128 + signum
            assert len(finals) == len(os.listdir(place)) and finals != ["a"] and finals != ["b"]


def test_a_signal_ends_what_swallows_exceptions(run, tmp_path):
    """A callback of a library, the import machinery: the end does not depend on who catches what."""
    script = """
        import time
        from occupy_jit.files.output.transaction import Outputs
        from occupy_jit.files.output.signals import install_signal_handlers
        install_signal_handlers("ended")
        outputs = Outputs()
        with outputs.open("a") as file:
            file.write(b"x")
        ready = False
        while True:
            try:
                if not ready:
                    ready = True
                    print("ready", flush=True)
                time.sleep(60)
            except BaseException:
                print("swallowed", flush=True)
    """
    process = run(script, tmp_path)
    assert process.stdout.readline() == "ready\n" and len(os.listdir(tmp_path)) == 1
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "ended")
    assert process.returncode == 130 and os.listdir(tmp_path) == []


def test_signals_wait_for_the_renames(run, tmp_path):
    script = """
        import os, signal
        from occupy_jit.files.output.transaction import Outputs
        from occupy_jit.files.output.signals import install_signal_handlers
        install_signal_handlers()
        replace = os.replace
        def interrupted(*names):
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(1000): pass
            replace(*names)
        os.replace = interrupted
        with Outputs() as outputs:
            for name in "abc":
                with outputs.open(name) as file:
                    file.write(b"x")
    """
    process = run(script, tmp_path)
    assert process.communicate()[1] == "" and process.returncode == 143
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


def test_nohup_is_respected(run, tmp_path):
    script = """
        import os, signal
        from occupy_jit.files.output.signals import install_signal_handlers
        install_signal_handlers()
        os.kill(os.getpid(), signal.SIGHUP)
    """
    process = run(script, tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert process.communicate()[1] == "" and process.returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_remove_its_parents_files(run, tmp_path):
    script = """
        import os, sys
        from occupy_jit.files.output.transaction import Outputs
        with Outputs() as outputs:
            with outputs.open("a") as file:
                file.write(b"x")
            if (child := os.fork()) == 0:
                sys.stdout.flush()
                from occupy_jit.files.output.temporaries import remove_temporaries
                remove_temporaries()
                os._exit(0)
            os.waitpid(child, 0)
    """
    process = run(script, tmp_path)
    assert process.communicate()[1] == "" and process.returncode == 0 and os.listdir(tmp_path) == ["a"]


def test_handlers_are_only_set_in_the_main_thread():
    import threading
    results = []
    thread = threading.Thread(target=lambda: results.append(install_signal_handlers()))
    thread.start()
    thread.join()
    assert results == [False]


def test_the_module_needs_no_numpy(run, tmp_path):
    script = "import sys, occupy_jit.files.output.transaction\nassert 'numpy' not in sys.modules"
    process = run(script, tmp_path)
    assert process.communicate()[1] == "" and process.returncode == 0


def test_a_signal_acts_in_the_middle_of_what_is_no_python(tmp_path):
    """As in a kernel, or in a solver: Python's own handler would be called when that is done."""
    script = textwrap.dedent("""
        import hashlib, sys
        from occupy_jit.files.output.signals import install_signal_handlers
        from occupy_jit.files.output.transaction import Outputs
        install_signal_handlers("ended")
        with Outputs() as outputs, outputs.open(sys.argv[1]) as file:
            print("ready", flush=True)
            hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)  # half an hour
    """)
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "out")], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as child:
        child.stdout.readline()
        time.sleep(0.2)
        child.send_signal(signal.SIGTERM)
        assert child.communicate(timeout=20)[1] == "ended"
    assert child.returncode == 143 and os.listdir(tmp_path) == []
