"""A simulated 3D classification: one complex of five subunits with different occupancies in each class."""

import warnings

import numpy as np

BOX, VOXEL_SIZE = 96, 1.8
_RADIUS, _ATOMS, _SUBUNITS = 17.0, 1700, 5  # Å, and atoms of each subunit: the density of protein

#: Occupancy of each subunit (columns) in each class (rows). In the last class nothing is complete.
OCCUPANCIES = np.array([
    [1.0, 1.0, 0.8, 0.4, 0.0],
    [1.0, 0.2, 1.0, 0.6, 0.8],
    [1.0, 0.6, 0.4, 1.0, 0.2],
    [0.6, 0.4, 0.2, 0.0, 0.6],
])
_SIGNAL_TO_NOISE = (5.0, 4.0, 3.0, 2.5)


class Complex:
    """Atoms, and the noise-free map of each subunit alone.

    Attributes
    ----------
    atoms : (m, 3) float array
        [z, y, x] in voxels.
    subunit : (m,) int array
    signals : (subunits, n, n, n) float array
    """

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        middle = (BOX - 1) / 2 * VOXEL_SIZE
        ring = 0.95 * _RADIUS / np.sin(np.pi / _SUBUNITS)  # neighbours touch
        angles = 2 * np.pi * np.arange(_SUBUNITS) / _SUBUNITS
        centres = middle + ring * np.stack([0.25 * (-1.0) ** np.arange(_SUBUNITS), np.sin(angles), np.cos(angles)], 1)
        self.atoms = np.concatenate([_coil(rng, centre) for centre in centres]) / VOXEL_SIZE
        self.subunit = np.repeat(np.arange(_SUBUNITS), _ATOMS)

        axes = [np.fft.fftfreq(BOX, VOXEL_SIZE)] * 2 + [np.fft.rfftfreq(BOX, VOXEL_SIZE)]
        squared = sum(f * f for f in np.meshgrid(*axes, indexing="ij"))
        edge = 0.5 + 0.5 * np.cos(np.pi * np.clip((np.sqrt(squared) - 1 / 4.0) / 0.03 + 0.5, 0, 1))
        # an atom, a Gaussian of sigma 0.75 Å, minus the solvent that it displaces, a wider one of 0.7 of its weight
        self._transfer = edge * (np.exp(-2 * np.pi**2 * 0.75**2 * squared)
                                 - 0.7 * np.exp(-2 * np.pi**2 * 1.3**2 * squared))
        self._noise_filter = edge * np.sqrt(1 / (1 + squared * 30.0**2) + 0.3)
        self.signals = np.array([_filtered(_binned(self.atoms[self.subunit == k]), self._transfer)
                                 for k in range(_SUBUNITS)])
        self._level = np.sqrt((self.at_atoms(self.signals.sum(axis=0)) ** 2).mean())

    def at_atoms(self, volume):
        """Values of a volume at the voxels of the atoms."""
        return volume[tuple(np.rint(self.atoms).astype(int).T)]

    def medians(self, volume):
        """Median of a volume over the atoms of each subunit."""
        values = self.at_atoms(volume)
        return np.array([np.median(values[self.subunit == k]) for k in range(_SUBUNITS)])

    def map(self, occupancies, signal_to_noise, seed):
        """Map with these occupancies and coloured noise (float32)."""
        noise = _filtered(np.random.default_rng(seed).standard_normal((BOX,) * 3), self._noise_filter)
        noise *= self._level / signal_to_noise / noise.std()
        return (np.tensordot(occupancies, self.signals, 1) + noise).astype(np.float32)

    def classes(self):
        """The maps of the four classes."""
        return [self.map(row, snr, 100 + number)
                for number, (row, snr) in enumerate(zip(OCCUPANCIES, _SIGNAL_TO_NOISE, strict=True))]


def _coil(rng, centre):
    """A compact chain: steps of 1.5 Å that keep 1.4 Å from one another and stay in a ball."""
    chain = np.empty((_ATOMS, 3))
    chain[0] = centre
    for number in range(1, _ATOMS):
        steps = rng.normal(size=(60, 3))
        places = chain[number - 1] + 1.5 * steps / np.linalg.norm(steps, axis=1)[:, None]
        places = places[np.linalg.norm(places - centre, axis=1) < _RADIUS]
        chain[number] = centre + rng.normal(size=3) * _RADIUS / 3  # walked into a corner: go on from anywhere
        for place in places:
            if ((chain[:number] - place) ** 2).sum(axis=1).min() > 1.4**2:
                chain[number] = place
                break
    return chain


def _binned(places):
    """Every atom distributed over the eight voxels around it."""
    volume = np.zeros((BOX,) * 3)
    low = np.floor(places).astype(int)
    part = places - low
    for corner in np.ndindex(2, 2, 2):
        np.add.at(volume, tuple((low + corner).T), np.prod(np.where(corner, part, 1 - part), axis=1))
    return volume


def _filtered(volume, transfer):
    return np.fft.irfftn(np.fft.rfftn(volume) * transfer, volume.shape, axes=(0, 1, 2))


# Files ---------------------------------------------------------------------------------------------------------------


def model_star(references, shares=None, resolutions=None, version="30001", dimensionality=3, box=BOX,
               voxel_size=VOXEL_SIZE):
    """Text of a model.star as RELION 3.1 to 5 write it; without resolutions as RELION 1 and 2 do."""
    number = len(references)
    shares = [1 / number] * number if shares is None else shares
    columns = ["rlnReferenceImage", "rlnClassDistribution", "rlnAccuracyRotations", "rlnAccuracyTranslationsAngst"]
    rows = [f"{name} {share:12.6f} {1.5 + k:12.6f} {0.9:12.6f}"
            for k, (name, share) in enumerate(zip(references, shares, strict=True))]
    if resolutions is not None:
        columns.append("rlnEstimatedResolution")
        rows = [f"{row} {resolution:12.6f}" for row, resolution in zip(rows, resolutions, strict=True)]
    mark = f"\n# version {version}\n" if version else ""
    blank = " "  # RELION ends many lines with one
    spectrum = "".join(f"{k:12d} {k / box / voxel_size:12.6f} {1 / (k + 1):12.6f} \n" for k in range(5))
    text = f"""{mark}
data_model_general

_rlnReferenceDimensionality {dimensionality:35d}
_rlnOriginalImageSize {box:41d}
_rlnPixelSize {voxel_size:49.6f}
_rlnNrClasses {number:49d}
{blank}
{mark}
data_model_classes

loop_{blank}
""" + "".join(f"_{name} #{k} \n" for k, name in enumerate(columns, 1)) + "".join(f"{row} \n" for row in rows) + " \n"
    for k in range(1, number + 1):
        text += f"""{mark}
data_model_class_{k}

loop_{blank}
_rlnSpectralIndex #1{blank}
_rlnResolution #2{blank}
_rlnSsnrMap #3{blank}
{spectrum}{blank}
"""
    return text


def write_map(path, data, voxel_size=VOXEL_SIZE):
    """Write a map as RELION does."""
    import mrcfile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NaN
        with mrcfile.new(path, overwrite=True) as file:
            file.set_data(np.asarray(data, np.float32))
            file.voxel_size = voxel_size
    return path


def write_project(root, maps, job="Class3D/job012", iteration="run_it025", voxel_size=VOXEL_SIZE, **star):
    """A RELION project directory with one classification; returns the path of the model.star.

    A map that is None is in the STAR file, but missing.
    """
    (root / job).mkdir(parents=True, exist_ok=True)
    names = [f"{job}/{iteration}_class{k:03d}.mrc" for k in range(1, len(maps) + 1)]
    for name, data in zip(names, maps, strict=True):
        if data is not None:
            write_map(root / name, data, voxel_size)
    path = root / job / f"{iteration}_model.star"
    path.write_text(model_star(names, voxel_size=voxel_size, **star))
    return path
