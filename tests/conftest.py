"""Tests marked ``test_data`` take real and simulated maps from the folder that $OCCUPY_TEST_DATA names.

Without the variable they are not collected: on a machine without the folder there is nothing to say about them.
"""

import os


def pytest_collection_modifyitems(config, items):
    if os.environ.get("OCCUPY_TEST_DATA"):
        return
    wanting = [item for item in items if item.get_closest_marker("test_data")]
    if wanting:
        config.hook.pytest_deselected(items=wanting)
        items[:] = [item for item in items if item not in wanting]
