"""Names of the files of a run, derived from the input's name."""

import os
from dataclasses import dataclass

_COMPRESSED = (".gz", ".bz2")
_MAPS = (".mrc", ".map", ".ccp4", ".rec")


@dataclass(frozen=True)
class Names:
    """Where the files of one map go.

    Attributes
    ----------
    directory : str
    stem : str
        The input's name without its directory, compression and map suffix.
    modified : str
        File name of the modified map, without directory.
    """

    directory: str
    stem: str
    modified: str

    def path(self, prefix, suffix):
        """Path of ``<prefix><stem><suffix>``."""
        return os.path.join(self.directory, f"{prefix}{self.stem}{suffix}")

    @property
    def scale(self):
        """str : Path of the scale."""
        return self.path("scale_", ".mrc")

    @property
    def out(self):
        """str : Path of the modified map."""
        return os.path.join(self.directory, self.modified)


def names_for(input_path, directory, output_name=None):
    """Names for an input: ``emd_1.map.gz`` gives scale_emd_1.mrc, out_emd_1.map, log_emd_1.txt and so on.

    Parameters
    ----------
    input_path : str
    directory : str
        Where everything goes.
    output_name : str, optional
        Name of the modified map; .mrc is added where it has no suffix of a map.
    """
    base = os.path.basename(os.path.normpath(input_path))
    for suffix in _COMPRESSED:
        if base.lower().endswith(suffix) and len(base) > len(suffix):
            base = base[:-len(suffix)]
    stem, suffix = os.path.splitext(base)
    if suffix.lower() not in _MAPS or not stem:
        stem, suffix = base, ".mrc"
    if output_name is None:
        modified = f"out_{stem}{suffix}"
    else:
        modified = output_name if output_name.lower().endswith(_MAPS) else f"{output_name}.mrc"
    return Names(directory, stem, modified)
