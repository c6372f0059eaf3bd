"""The cache of compiled kernels: every way in which a cluster spoils one, with real processes.

Wherever the cache is spoilt the result must be right, nothing may reach the terminal, and one line goes to the log.
"""

import hashlib
import os
import pathlib
import pickle
import resource
import shutil
import subprocess

import pytest

from tests import kernel_package as package

# 3 * (0 + 1 + ... + 23), exact in float64.
RIGHT = 828.0
needs_posix = pytest.mark.skipif(os.name != "posix", reason="file owners and locks are POSIX's")
pytestmark = needs_posix


@pytest.fixture
def root(tmp_path):
    return package.make(tmp_path)


@pytest.fixture(scope="module")
def warm_root(tmp_path_factory):
    """A package whose kernels are compiled and kept in its HOME."""
    root = package.make(tmp_path_factory.mktemp("warm"))
    assert package.run(root, package.TOTAL)["misses"] == 1
    return root


def total(root, variables=None, code="", **options):
    """Run the kernel in a process of its own and check what always holds."""
    answer = package.run(root, code + package.TOTAL, variables, **options)
    assert answer["value"] == RIGHT
    return answer


def entries(path):
    return sorted(p for p in pathlib.Path(path).rglob("*") if p.is_file() and ".nbc" in p.name)


def in_namespace(setup):
    """Command prefix that runs `setup` as root of a mount namespace of its own; skips the test where there is none."""
    wrap = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", f'{setup} && exec "$@"', "sh"]
    try:
        works = subprocess.run([*wrap, "true"], capture_output=True).returncode == 0
    except OSError:
        works = False
    if not works:
        pytest.skip("this machine allows no mount namespaces")
    return wrap


def test_second_process_compiles_nothing(warm_root):
    answer = total(warm_root)
    assert (answer["hits"], answer["misses"], answer["lines"]) == (1, 0, [])
    assert answer["path"].startswith(str(warm_root / "home" / ".cache" / "occupy_jit"))


@pytest.mark.slow
def test_loading_needs_no_registries_and_compiling_afterwards_works(warm_root):
    # The registries are nine tenths of the time to load the first kernel; they must still come when needed.
    package.run(warm_root, "tiny.doubled(volume)\nanswer()")
    answer = package.run(warm_root, """
import numba
doubled = tiny.doubled(volume)
value = tiny.total(volume)
before = "numba.np.linalg" in sys.modules
fresh = numba.njit(lambda x: tiny.doubled(x)[1, 2, 3] + tiny.total(x))(volume)
answer(value=value, fresh=fresh, before=before, after="numba.np.linalg" in sys.modules,
       equal=bool((doubled == 2 * volume).all()), count=count(tiny.doubled))
""")
    assert (answer["value"], answer["fresh"], answer["equal"]) == (RIGHT, 46 + RIGHT, True)
    assert (answer["before"], answer["after"]) == (False, True)
    assert answer["count"] == [1, 0]


def test_other_packages_keep_their_cache(root):
    (root / "other.py").write_text("import numba\n@numba.njit(cache=True)\ndef f(x):\n    return x + 1\n")
    answer = package.run(root, """
import numba, other
other.f(1), tiny.total(volume)
answer(path=other.f.stats.cache_path, config=numba.config.CACHE_DIR)
""")
    assert answer["path"] == str(root / "__pycache__")
    assert answer["config"] == ""


@pytest.mark.parametrize("variables, where", [
    ({"OCCUPY_CACHE_DIR": "{root}/a b/c"}, "a b/c"),
    pytest.param({"XDG_CACHE_HOME": "{root}/xdg"}, "xdg/occupy_jit", marks=pytest.mark.slow),
    pytest.param({"OCCUPY_CACHE_DIR": "{root}/one", "XDG_CACHE_HOME": "{root}/two"}, "one", marks=pytest.mark.slow),
])
def test_variables_name_the_directory(root, variables, where):
    answer = total(root, {name: value.format(root=root) for name, value in variables.items()})
    assert pathlib.Path(answer["path"]).parent == root / where
    assert entries(root / where) == entries(root)


def test_nothing_is_read_or_written_in_the_current_directory(root):
    relative = {name: "relative" for name in ("OCCUPY_CACHE_DIR", "XDG_CACHE_HOME", "TMPDIR", "HOME")}
    answer = total(root, relative)
    assert not (root / "relative").exists()
    assert answer["path"] is None
    assert len(answer["lines"]) == 1 and "not an absolute path" in answer["lines"][0]


WHY = "print(_cache.why_compiling(), file=open('why', 'w'))\n"


def test_unwritable_home_is_told(root):
    # A file where a directory should be stops even root.
    (root / "file").write_text("")
    for _ in range(2):
        answer = total(root, {"HOME": f"{root}/file"}, WHY)
        assert answer["path"] is None and answer["misses"] == 1
        assert len(answer["lines"]) == 1 and "cannot be kept" in answer["lines"][0]
        assert "set OCCUPY_CACHE_DIR" in (root / "why").read_text()
    assert entries(root) == []


@pytest.mark.slow
def test_why_a_run_compiles(root):
    total(root, code=WHY)
    base = root / "home" / ".cache" / "occupy_jit"
    assert (root / "why").read_text() == f"the kernels are compiled: in {base} none are kept yet\n"
    total(root, code=WHY)
    assert (root / "why").read_text() == "None\n"
    with open(root / "occupy_jit" / "kernels" / "inner" / "callee.py", "a") as file:
        file.write("# newer\n")
    total(root, code=WHY)
    assert "those that are kept are of another version or for another processor" in (root / "why").read_text()


@pytest.mark.slow
def test_everything_read_only(root):
    package.environment(root)
    wrap = in_namespace(" && ".join(f"mount --bind {m} {m} && mount -o remount,ro,bind {m}"
                                    for m in ("/tmp", "/var/tmp", root)))
    answer = total(root, wrap=wrap)
    assert answer["path"] is None and answer["misses"] == 1
    assert len(answer["lines"]) == 1 and "cannot be kept" in answer["lines"][0]
    assert entries(root) == []


@pytest.mark.slow
def test_read_only_cache_of_a_container_is_used(root):
    cache = {"OCCUPY_CACHE_DIR": f"{root}/shared"}
    total(root, cache)
    wrap = in_namespace(f"mount --bind {root}/shared {root}/shared && mount -o remount,ro,bind {root}/shared")
    answer = total(root, cache, wrap=wrap)
    assert (answer["hits"], answer["misses"]) == (1, 0)


def test_damaged_entries_are_replaced(root):
    answer = package.run(root, """
import hashlib, pickle
tiny.total(volume)
directory = tiny.total.stats.cache_path
[path] = [os.path.join(directory, n) for n in os.listdir(directory) if n.startswith("tiny.total")]
good = open(path, "rb").read()
def sealed(payload):
    return store.MAGIC + hashlib.sha256(payload).digest() + payload
damages = dict(empty=b"", short=good[:40], truncated=good[:-1000], longer=good + b"x", garbage=os.urandom(5000),
               bit=good[:3000] + bytes([good[3000] ^ 1]) + good[3001:], foreign=b"x" + good[1:],
               no_pickle=sealed(b"hello"), other_pickle=sealed(pickle.dumps((1, 2, 3))),
               missing_class=sealed(b"cno_such_module\\nthing\\n."))
results = {}
for name, content in damages.items():
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(content)
    before = len(lines)
    store.say.cache_clear()
    again = _jit.kernel(tiny.total.py_func)
    value = again(volume)
    after = _jit.kernel(tiny.total.py_func)
    after(volume)
    results[name] = value, count(again), count(after), len(lines) - before
answer(results=results)
""")
    for name, result in answer["results"].items():
        # The right value, compiled anew and saved again, which a second dispatcher loads; one line.
        assert result == [RIGHT, [0, 1], [1, 0], 1], name


def test_unreadable_entry_is_replaced(warm_root, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    root = shutil.copytree(warm_root, tmp_path / "copy")
    for entry in entries(root):
        entry.chmod(0)
    assert total(root)["misses"] == 1
    assert total(root)["hits"] == 1


def test_file_size_limit(root):
    answer = total(root, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
    assert answer["misses"] == 1
    assert entries(root) == [], "an incomplete entry or a temporary file is left"
    assert len(answer["lines"]) == 1 and "could not be kept" in answer["lines"][0]


@pytest.mark.slow
def test_full_file_system(root):
    package.environment(root)
    (root / "small").mkdir()
    wrap = in_namespace(f"mount -t tmpfs -o size=8k none {root}/small")
    answer = total(root, {"OCCUPY_CACHE_DIR": f"{root}/small"}, wrap=wrap)
    assert answer["misses"] == 1 and "No space left" in answer["lines"][0]


@pytest.mark.slow
def test_many_processes_on_a_cold_cache(root):
    processes = [package.start(root, package.TOTAL) for _ in range(16)]
    answers = [package.finish(process) for process in processes]
    assert [answer["value"] for answer in answers] == [RIGHT] * 16
    assert sum(answer["misses"] for answer in answers) < 16, "nobody waited for the one that compiled"
    directory = pathlib.Path(answers[0]["path"])
    # One entry for the kernel and one for the kernel it calls, and no temporary files.
    assert sorted(entry.name.split(".")[0] for entry in entries(directory)) == ["callee", "tiny"]
    assert total(root)["hits"] == 1


@pytest.mark.slow
def test_a_process_that_hangs_while_it_compiles_holds_up_nobody_for_ever(root):
    code = """
real = tiny.total._compiler.compile
def hang(*args):
    print("compiling", flush=True)
    sys.stdin.read()
tiny.total._compiler.compile = hang
tiny.total(volume)
"""
    holder = package.start(root, code, stdin=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == "compiling\n"
        answer = total(root, code="_cache.patience = 0.3\n")
        assert answer["misses"] == 1 and "waited long enough" in answer["lines"][0]
    finally:
        holder.kill()
        holder.communicate()
    # A killed process holds nothing up.
    shutil.rmtree(root / "home")
    assert total(root)["lines"] == []


def test_failed_compilation_gives_the_lock_back(root):
    answer = package.run(root, """
from numba.core.errors import TypingError
try:
    tiny.doubled("text")
    failed = False
except TypingError:
    failed = True
answer(failed=failed, held=len(tiny.doubled._cache._held))
""")
    assert (answer["failed"], answer["held"]) == (True, 0)


def test_upgrade_of_a_called_kernel_in_another_file(root):
    old = total(root)
    callee = root / "occupy_jit" / "kernels" / "inner" / "callee.py"
    # Same length and same time stamp: only the content tells.
    status = callee.stat()
    callee.write_text(callee.read_text().replace("3.0", "5.0"))
    os.utime(callee, ns=(status.st_atime_ns, status.st_mtime_ns))
    shutil.rmtree(callee.parent / "__pycache__")
    new = package.run(root, package.TOTAL)
    assert new["value"] == RIGHT / 3 * 5
    assert new["misses"] == 1 and new["path"] != old["path"]


@pytest.mark.slow
def test_upgrade_while_running_is_not_mistaken_for_the_new_version(root):
    code = f"open({str(root / 'occupy_jit' / 'kernels' / 'inner' / 'callee.py')!r}, 'a').write('# newer')\n"
    assert total(root, code=code)["misses"] == 1
    assert entries(root) == []


class Mark:
    """Pickles into something that makes a file when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [None, "directory open to all", "file open to all", "directory of another",
                                   "file of another"])
def test_entries_that_others_could_have_written_are_never_unpickled(warm_root, tmp_path, spoil):
    root = shutil.copytree(warm_root, tmp_path / "copy")
    [entry] = [entry for entry in entries(root) if entry.name.startswith("tiny.total")]
    content, payload = entry.read_bytes(), pickle.dumps(Mark(root / "mark"))
    checksum = len(content) - 32 - len(content.split(b"\n", 1)[1][32:])
    entry.write_bytes(content[:checksum] + hashlib.sha256(payload).digest() + payload)
    if spoil is not None:
        target = entry if spoil.startswith("file") else entry.parent
        if spoil.endswith("all"):
            target.chmod(0o777)
        elif os.geteuid():
            pytest.skip("only root can give files away")
        else:
            os.chown(target, 12345, 12345)
    assert total(root)["misses"] == 1
    # The first case shows that the plant is not harmless.
    assert (root / "mark").exists() == (spoil is None)


@pytest.mark.slow
def test_forms_of_one_function_do_not_share_an_entry(root):
    answer = package.run(root, """
import numba
a, b = np.zeros(5), np.zeros(5)
tiny.fill(a, 1.0)
tiny.fill.serial()(b, 1.0)
def maker(number):
    return _jit.kernel(lambda x: x + number)
def over(function):
    return _jit.kernel(lambda x: function(x))
values = [maker(1)(1), maker(2)(1), over(maker(1))(1), over(maker(2))(1)]
answer(equal=bool((a == b).all()), serial=count(tiny.fill.serial()), values=values)
""")
    assert (answer["equal"], answer["serial"], answer["values"]) == (True, [0, 1], [2, 3, 2, 3])


@pytest.mark.slow
def test_root_makes_no_directory_in_the_home_of_a_user(root):
    if os.geteuid():
        pytest.skip("only root can")
    package.environment(root)
    os.chown(root / "home", 12345, 12345)
    assert total(root)["path"] is None
    assert not (root / "home" / ".cache").exists()


def test_without_compilation(root):
    answer = package.run(root, """
def compiled(function):
    return hasattr(function, "py_func")
out = np.zeros(3)
_jit.launch(tiny.fill, out, 1.0)
with _jit.threads(4):
    answer(value=float(tiny.total(volume)), compiled=compiled(tiny.total), out=out.tolist())
""", {"NUMBA_DISABLE_JIT": "1"})
    assert (answer["value"], answer["compiled"], answer["out"]) == (RIGHT, False, [1, 2, 3])
    assert entries(root) == []
