"""The model of a run and its parts: read when a run is planned, and not again for the fit."""

import functools
import os


def parts_of(options):
    """The model that `options` name, and its parts.

    Parameters
    ----------
    options : occupy_jit.settings.Options

    Returns
    -------
    occupy_jit.files.models.AtomicModel
        To be left as it is: the next map is given the same.

    Raises
    ------
    InputError
        The file cannot be used, or does not hold what the options name.
    UsageError
        Parts overlap, or have the name of another.
    """
    from occupy_jit.estimation.model.part_selection import select_parts
    from occupy_jit.files.models import read_model

    try:
        there = os.stat(options.model)
    except OSError:
        return read_model(options.model, options.assembly)  # says what is wrong
    model = _read(options.model, options.assembly, (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns))
    select_parts(model, options.parts, options.reference_part)
    return model


@functools.lru_cache(maxsize=1)
def _read(path, assembly, as_it_is):
    from occupy_jit.files.models import read_model

    return read_model(path, assembly)
