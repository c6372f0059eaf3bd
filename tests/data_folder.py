"""Where real and simulated maps are, for tests marked ``test_data``."""

import os
import pathlib

FOLDER = pathlib.Path(os.environ.get("OCCUPY_TEST_DATA") or os.curdir)
