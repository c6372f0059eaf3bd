"""Loading, or compiling, every kernel that a run needs, ahead of the first large array."""

import contextlib
import threading

_loading = None


def start(announce=None):
    """Begin to load the kernels in a thread, once in a process; meanwhile files can be checked and read.

    Parameters
    ----------
    announce : callable, optional
        Called once, with a sentence, if the kernels have to be compiled.
    """
    global _loading
    if _loading is None:
        _loading = threading.Thread(target=_load_quietly, args=(announce,), name="kernels", daemon=True)
        _loading.start()


def wait():
    """Wait until what `start` began is done."""
    if _loading is not None:
        _loading.join()


def ready():
    """Load the kernels, unless they are."""
    start()
    wait()


def _load_quietly(announce):
    # What goes wrong here goes wrong again, and is told, where the kernels are used.
    with contextlib.suppress(Exception):
        load(announce)


def load(announce=None):
    """Run everything once on a small map: afterwards all kernels are in memory and in the cache on disk."""
    import numpy as np

    from occupy_jit.kernels.jit import cache

    if announce is not None and cache.is_cold():
        announce("compiling the kernels for this machine: takes ten to twenty seconds, once")

    from occupy_jit.estimation import modify
    from occupy_jit.estimation.estimate import estimate
    from occupy_jit.modifications import requested
    from occupy_jit.settings import Settings

    # a blob in noise that needs no random numbers: large enough for every kernel to be entered
    z, y, x = np.indices((16, 16, 16), np.float32)
    ripple = np.sin(z * 7.1 + np.sin(y * 5.3) * 3 + np.cos(x * 9.7) * 2)
    blob = np.exp(-((z - 8) ** 2 + (y - 8) ** 2 + (x - 8) ** 2) / 12)
    volume = (blob + 0.05 * ripple).astype(np.float32)
    settings = Settings(amplify=True)
    result = estimate(volume, settings, voxel_size=1.0)
    modify.modified(volume, result, settings, requested(settings)[0])
