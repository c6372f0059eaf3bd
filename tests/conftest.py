"""Tests marked ``test_data`` read experimental and simulated maps from the folder in $OCCUPY_TEST_DATA.

Without the variable they are not collected.
"""

import os
import shutil
import signal
import tempfile

from hypothesis import HealthCheck, settings

# The same examples in every run on any machine, so that failures are reproducible. For others use
# --hypothesis-profile=default --hypothesis-seed=NUMBER.
settings.register_profile("always the same", derandomize=True, deadline=None, database=None, print_blob=False,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("always the same")

# A run in the background (&, nohup) starts with these signals ignored, and commands under test would inherit this.
for _name, _usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _usual)


def pytest_configure(config):
    """One directory of compiled kernels for all processes of a test run, if the environment has none.

    Compilation takes more than a minute and is shared by workers and commands under test.
    """
    if hasattr(config, "workerinput") or os.environ.get("OCCUPY_CACHE_DIR"):
        return
    directory = tempfile.mkdtemp(prefix="occupy-test-")
    os.chmod(directory, 0o755)  # for tests that run as another user
    os.environ["OCCUPY_CACHE_DIR"] = directory
    config.add_cleanup(lambda: shutil.rmtree(directory, True))


def pytest_collection_modifyitems(config, items):
    if os.environ.get("OCCUPY_TEST_DATA"):
        return
    wanting = [item for item in items if item.get_closest_marker("test_data")]
    if wanting:
        config.hook.pytest_deselected(items=wanting)
        items[:] = [item for item in items if item not in wanting]
