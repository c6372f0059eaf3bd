"""Tests marked ``test_data`` take real and simulated maps from the folder that $OCCUPY_TEST_DATA names.

Without the variable they are not collected: on a machine without the folder there is nothing to say about them.
"""

import os
import signal

# A run in the background (&, nohup) is started with these signals ignored, and hands that on to the commands under
# test, which then rightly ignore them, too.
for _name, _usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _usual)


def pytest_collection_modifyitems(config, items):
    if os.environ.get("OCCUPY_TEST_DATA"):
        return
    wanting = [item for item in items if item.get_closest_marker("test_data")]
    if wanting:
        config.hook.pytest_deselected(items=wanting)
        items[:] = [item for item in items if item not in wanting]
