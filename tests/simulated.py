"""Small maps with known content, made from random numbers alone."""

from dataclasses import dataclass

import numpy as np


def blobs(shape, seed=0, noise=0.05, occupancies=(1.0, 0.5)):
    """A rough blob for each occupancy in the middle of the box, and white noise over everything (float32)."""
    rng = np.random.default_rng(seed)
    centre = (np.array(shape) - 1) / 2
    reach = min(shape) / 2
    indices = np.indices(shape)
    volume = np.zeros(shape)
    for number, occupancy in enumerate(occupancies):
        angle = 2 * np.pi * number / len(occupancies) + 0.3
        middle = centre + 0.4 * reach * np.array([np.sin(angle), np.cos(angle), 0.2 * np.sin(3 * angle)])
        for _ in range(12):
            place = middle + rng.normal(0, 0.12 * reach, 3)
            squared = sum((i - c) ** 2 for i, c in zip(indices, place, strict=True))
            volume += occupancy * np.exp(-squared / (2 * 1.5**2))
    return (volume + rng.normal(0, noise, shape)).astype(np.float32)


@dataclass(frozen=True)
class Complex:
    """Chains of atoms with known occupancies, and the map of it.

    Attributes
    ----------
    map, signal : (n, n, n) float32 arrays
        With and without noise.
    atoms : (m, 3) float array
        [z, y, x] in voxels.
    chain : (m,) int array
    occupancies : (chains,) float array
    distance : (n, n, n) array
        To the nearest atom, in Å; a lower bound where it is beyond 12 Å.
    voxel_size : float
        Å.
    """

    map: np.ndarray
    signal: np.ndarray
    atoms: np.ndarray
    chain: np.ndarray
    occupancies: np.ndarray
    distance: np.ndarray
    voxel_size: float

    def medians(self, volume):
        """Median of a volume over the atoms of each chain, at the nearest voxels."""
        values = volume[tuple(np.rint(self.atoms).astype(int).T)]
        return np.array([np.median(values[self.chain == number]) for number in range(len(self.occupancies))])


def _walk(rng, centre, atoms, radius):
    """A compact chain: steps of 1.5 Å that keep 1.4 Å from one another and stay within `radius` Å of the centre."""
    chain = [centre + rng.normal(0, 1, 3)]
    while len(chain) < atoms:
        for _ in range(60):
            step = rng.normal(size=3)
            place = chain[-1] + 1.5 * step / np.linalg.norm(step)
            if np.linalg.norm(place - centre) < radius and np.linalg.norm(np.array(chain) - place, axis=1).min() > 1.4:
                break
        else:  # walked into a corner: go on from anywhere
            place = centre + rng.normal(size=3) * radius / 3
        chain.append(place)
    return np.array(chain)


def complex_with_occupancies(signal_to_noise, seed=0, box=84, voxel_size=1.2, occupancies=(1.0, 1.0, 0.6, 0.3, 0.1),
                             atoms=500, resolution_angstrom=3.0):
    """Chains side by side on a ring.

    An atom is a sharp peak minus the solvent that it displaces, a wider one, so that a chain has a mean contrast and
    between its atoms the map falls below solvent, as in a real map. Both maps are cut at the resolution.

    Parameters
    ----------
    signal_to_noise : float
        Root mean square of the fully occupied chains, within 3 Å of their atoms, over the noise.
    """
    rng = np.random.default_rng(seed)
    half = (box - 1) / 2 * voxel_size
    number = len(occupancies)
    radius = 10.5
    # neighbours on the ring touch, as chains of a complex do
    ring = 0.95 * radius / np.sin(np.pi / number)
    places, chain = [], []
    for k in range(number):
        angle = 2 * np.pi * k / number
        centre = half + ring * np.array([0.25 * (-1) ** k, np.sin(angle), np.cos(angle)])
        places.append(_walk(rng, centre, atoms, radius))
        chain += [k] * atoms
    places, chain = np.concatenate(places), np.array(chain)
    occupancies = np.array(occupancies)

    frequency = np.meshgrid(*[np.fft.fftfreq(box, voxel_size)] * 2, np.fft.rfftfreq(box, voxel_size), indexing="ij")
    squared = sum(f * f for f in frequency)
    edge = 0.5 + 0.5 * np.cos(np.pi * np.clip((np.sqrt(squared) - 1 / resolution_angstrom) / 0.03 + 0.5, 0, 1))
    # sigma 0.75 Å of thermal motion and scattering; the displaced solvent has 0.7 of the weight and sigma 1.3 Å
    transfer = edge * (np.exp(-2 * np.pi**2 * 0.75**2 * squared) - 0.7 * np.exp(-2 * np.pi**2 * 1.3**2 * squared))

    def filtered(volume, factor):
        return np.fft.irfftn(np.fft.rfftn(volume) * factor, volume.shape, axes=(0, 1, 2))

    signal = filtered(_binned(places / voxel_size, occupancies[chain], box), transfer)
    distance = distance_to(places / voxel_size, box, 12 / voxel_size) * voxel_size
    complete = distance_to(places[occupancies[chain] == 1] / voxel_size, box, 4 / voxel_size) * voxel_size <= 3
    coloured = filtered(rng.standard_normal((box,) * 3), edge * np.sqrt(1 / (1 + squared * 30.0**2) + 0.3))
    level = np.sqrt((signal[complete] ** 2).mean()) / signal_to_noise
    volume = signal + coloured * (level / coloured.std())
    return Complex(volume.astype(np.float32), signal.astype(np.float32), places / voxel_size, chain, occupancies,
                   distance, voxel_size)


def noise_like(made, seed):
    """Noise with the spectrum of a simulated map's, another sample of it."""
    amplitude = np.abs(np.fft.rfftn(made.map - made.signal))
    white = np.fft.rfftn(np.random.default_rng(seed).standard_normal(made.map.shape))
    phases = white / np.maximum(np.abs(white), 1e-30)
    return np.fft.irfftn(amplitude * phases, made.map.shape, axes=(0, 1, 2))


def half_maps(made, seeds=(1, 2)):
    """Two maps whose mean has as much noise as the simulated map."""
    return [(made.signal + np.sqrt(2) * noise_like(made, seed)).astype(np.float32) for seed in seeds]


def _binned(places, weights, box):
    """Every weight shared out between the eight voxels around its place."""
    volume = np.zeros((box,) * 3)
    low = np.floor(places).astype(int)
    part = places - low
    for corner in np.ndindex(2, 2, 2):
        share = np.prod(np.where(corner, part, 1 - part), axis=1)
        np.add.at(volume, tuple((low + corner).T), weights * share)
    return volume


def distance_to(places, box, farthest):
    """Distance of every voxel to the nearest place, at most `farthest`, all in voxels."""
    reach = int(np.ceil(farthest))
    squared = np.full((box,) * 3, float(farthest) ** 2)
    for place in places:
        low = np.maximum(np.floor(place).astype(int) - reach, 0)
        high = np.minimum(np.floor(place).astype(int) + reach + 2, box)
        axes = [(np.arange(a, b) - p) ** 2 for a, b, p in zip(low, high, place, strict=True)]
        cube = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        np.minimum(squared[cube], axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :],
                   out=squared[cube])
    return np.sqrt(squared)
