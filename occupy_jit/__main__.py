"""``python -m occupy_jit``: the same program as the command ``OccuPy``."""

import sys

from occupy_jit.cli.main import entry

sys.exit(entry())
