"""Tests marked ``test_data`` take real and simulated maps from the folder that $OCCUPY_TEST_DATA names.

Without the variable they are not collected: on a machine without the folder there is nothing to say about them.
"""

import os
import shutil
import signal
import tempfile

from hypothesis import HealthCheck, settings

# The same examples in every run, however slow the machine is: what fails, fails always, and is not found by chance by
# somebody who changed something else. Others are searched with --hypothesis-profile=default --hypothesis-seed=NUMBER.
settings.register_profile("always the same", derandomize=True, deadline=None, database=None, print_blob=False,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("always the same")

# A run in the background (&, nohup) is started with these signals ignored, and hands that on to the commands under
# test, which then rightly ignore them, too.
for _name, _usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _usual)


def pytest_configure(config):
    """One directory of compiled kernels for all processes of a test run, unless the environment names one.

    Compiling takes more than a minute: workers and the commands under test must not do it each for themselves.
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
