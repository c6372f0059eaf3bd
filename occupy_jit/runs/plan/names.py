"""Names of the files of a run, derived from the name of the input."""

import os
from dataclasses import dataclass

from occupy_jit.errors import UsageError
from occupy_jit.files.maps.suffixes import COMPRESSED_SUFFIXES, MAP_SUFFIXES
from occupy_jit.files.names.paths import shown


def is_compressed_name(path: str) -> bool:
    """Whether a file is compressed, by its name."""
    return path.lower().endswith(COMPRESSED_SUFFIXES)


@dataclass(frozen=True)
class Names:
    """Directory and names of the files of one map.

    Attributes
    ----------
    directory : str
    stem : str
        The name of the input without its directory, compression and map suffix.
    modified : str
        File name of the modified map, without directory.
    """

    directory: str
    stem: str
    modified: str

    def path(self, prefix: str, suffix: str) -> str:
        """Path of ``<prefix><stem><suffix>``."""
        return os.path.join(self.directory, f"{prefix}{self.stem}{suffix}")

    @property
    def out(self) -> str:
        """str : Path of the modified map."""
        return os.path.join(self.directory, self.modified)


def names_for(input_path: str, directory: str, output_name: str | None = None) -> Names:
    """Names for an input: ``emd_1.map.gz`` gives scale_emd_1.mrc, out_emd_1.map, log_emd_1.txt and so on.

    Parameters
    ----------
    input_path : str
    directory : str
        Directory of all outputs.
    output_name : str, optional
        Name of the modified map; .mrc is added if it has no suffix of maps.

    Raises
    ------
    UsageError
        If `output_name` is not a plain file name, or is that of a compressed map.
    """
    base = os.path.basename(os.path.normpath(input_path))
    for suffix in COMPRESSED_SUFFIXES:
        if base.lower().endswith(suffix) and len(base) > len(suffix):
            base = base[:-len(suffix)]
    stem, suffix = os.path.splitext(base)
    if suffix.lower() not in MAP_SUFFIXES or not stem:
        stem, suffix = base, ".mrc"
    return Names(directory, stem, f"out_{stem}{suffix}" if output_name is None else _modified(output_name))


def _modified(name):
    """File name of the modified map from the name given by the user."""
    folder, base = os.path.split(name)
    if folder:
        # all outputs of a run are in one directory
        raise UsageError(f"-o {shown(name)}: must be a name without a directory; use --output-dir {shown(folder)}"
                         + (f" -o {shown(base)}" if base else ""))
    if base in (".", ".."):
        raise UsageError(f"-o {shown(name)}: is a directory; give a file name, and the directory with --output-dir")
    if base.lower().endswith(COMPRESSED_SUFFIXES):
        raise UsageError(f"-o {shown(name)}: maps are written without compression; use -o "
                         f"{shown(os.path.splitext(base)[0])}")
    return base if base.lower().endswith(MAP_SUFFIXES) else f"{base}.mrc"
