"""Loading, or compiling, every kernel that a run needs, ahead of the first large array."""

import numpy as np

from occupy_jit.settings import Settings


def load():
    """Run everything once on a small map: afterwards all kernels are in memory and in the cache on disk."""
    from occupy_jit import modification
    from occupy_jit.estimation import estimate

    # a blob in noise that needs no random numbers: large enough for every kernel to be entered
    z, y, x = np.indices((16, 16, 16), np.float32)
    ripple = np.sin(z * 7.1 + np.sin(y * 5.3) * 3 + np.cos(x * 9.7) * 2)
    blob = np.exp(-((z - 8) ** 2 + (y - 8) ** 2 + (x - 8) ** 2) / 12)
    volume = (blob + 0.05 * ripple).astype(np.float32)
    settings = Settings(amplify=True)
    result = estimate(volume, settings, voxel_size=1.0)
    modification.modified(volume, result, settings, modification.requested(settings)[0])
