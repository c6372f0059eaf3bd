"""Occupancy of a map in memory, by the plain ratio of sliding maximum to full scale."""

import numpy as np

from occupy_jit.kernels.full_scale import full_scale_tau, largest_quantile
from occupy_jit.kernels.moments import volume_range
from occupy_jit.kernels.sliding_ball_maximum import ball_voxels, sliding_maximum
from occupy_jit.settings import LARGEST_RADIUS

_TILE_VOXELS = 12


def get_map_occupancy(data: np.ndarray, occ_kernel: int | float | np.ndarray, sol_mask: np.ndarray | None = None,
                      sol_threshold: float | None = None, save_occ_map: bool | str = False, verbose: bool = True
                     ) -> tuple[np.ndarray, float]:
    """Plain local scale M / X of a map: sliding maximum over a ball, divided by the value at full scale.

    M is the largest value within the ball around each voxel. X is the largest tau-quantile over every cube of 12
    voxels inside the inscribed sphere (a quarter of the box at most), found exactly; tau follows from
    the number of voxels in the ball. There is no low-pass, zero level or noise floor here: `occupy_jit.estimate` has
    them.

    Parameters
    ----------
    data : (nz, ny, nx) array
        Map, usually low-passed; solvent around 0.
    occ_kernel : int, float or 3-D array
        Ball: an odd diameter in voxels (int), a radius in voxels (float), or an array that is non-zero in the ball.
    sol_mask : (nz, ny, nx) array, optional
        Marks content (above one half); the occupancy is 0 elsewhere.
    sol_threshold : float, optional
        The occupancy is 0 where M is below this value.
    save_occ_map : bool or str
        Write the occupancy as a map, under this name (True: occupancy.mrc), with voxels of 1 Å.
    verbose : bool
        Print tau, the full scale and its position.

    Returns
    -------
    occ : (nz, ny, nx) float32 array
        In [0, 1].
    full : float
        Full scale X.

    Raises
    ------
    TypeError, ValueError
        If an array is not three-dimensional and real, shapes differ, or the kernel is not a ball.

    Examples
    --------
    >>> import numpy, occupy_jit
    >>> data = numpy.random.default_rng(0).normal(0, 0.1, (32, 32, 32)).astype(numpy.float32)
    >>> data[10:22, 10:22, 10:22] += 1
    >>> occupancy, full = occupy_jit.get_map_occupancy(data, 5, verbose=False)
    >>> occupancy.shape, bool(occupancy[16, 16, 16] > 0.9), bool(full > 0.9)
    ((32, 32, 32), True, True)
    """
    data = np.asarray(data)
    radius, size = _ball(occ_kernel)
    for name, mask in (("sol_mask", sol_mask),):
        if mask is not None and np.shape(mask) != data.shape:
            raise ValueError(f"{name}: shape {np.shape(mask)} differs from the map's {data.shape}")
    lowest, highest, not_finite = volume_range(data)
    if not_finite:
        raise ValueError(f"data: {not_finite} values are NaN or infinite")
    tau = full_scale_tau(ball_voxels(radius, size))
    edge = max(1, min(_TILE_VOXELS, min(data.shape) // 4))
    full, corner = largest_quantile(data, edge, tau)
    full = float(full)
    if not full > 0:
        raise ValueError(f"the full scale is {full:g}: nothing stands above 0; subtract the solvent level first")
    occ = sliding_maximum(data, radius, size)
    silent = None if sol_threshold is None else occ < sol_threshold  # pyright: ignore[reportOperatorIssue]
    occ /= np.float32(full)  # pyright: ignore[reportOperatorIssue]
    np.clip(occ, 0, 1, out=occ)
    if silent is not None:
        occ[silent] = 0
    if sol_mask is not None:
        occ[~(np.asarray(sol_mask) > 0.5)] = 0
    if verbose:
        where = list(map(int, corner))
        print(f"tau {tau:.4f}, full scale {full:.6g} in the cube of {edge} voxels at [z, y, x] = {where}")
    if save_occ_map:
        from occupy_jit.files.maps.maps import map_from_array
        from occupy_jit.files.maps.writing import write_map

        name = "occupancy.mrc" if save_occ_map is True else save_occ_map
        write_map(name, occ, map_from_array(occ, 1.0), "occupy_jit: occupancy")
    return occ, full


def _ball(kernel):
    """Radius and diameter of a ball from any form in `get_map_occupancy`."""
    if isinstance(kernel, (bool, str)) or kernel is None:
        raise TypeError(f"occ_kernel: expected a diameter, a radius or an array, got {kernel!r}")
    if np.ndim(kernel) == 0:
        if not isinstance(kernel, (float, np.floating)):
            if not 1 <= kernel <= 2 * LARGEST_RADIUS + 1 or kernel % 2 == 0:
                raise ValueError(f"occ_kernel: a diameter must be a positive odd number of voxels, at most "
                                 f"{2 * LARGEST_RADIUS + 1}, not {kernel}")
            return max((int(kernel) - 1) / 2, 0.5), int(kernel)
        if not 0 < kernel <= LARGEST_RADIUS:
            raise ValueError(f"occ_kernel: a radius must be positive and at most {LARGEST_RADIUS} voxels, not {kernel}")
        return float(kernel), 2 * int(kernel) + 1
    ball = np.asarray(kernel) != 0
    if ball.ndim != 3 or len(set(ball.shape)) != 1 or ball.shape[0] % 2 == 0 or not ball.any():
        raise ValueError(f"occ_kernel: expected a cube with an odd edge that holds a ball, got shape {ball.shape}")
    half = ball.shape[0] // 2
    axis = np.arange(-half, half + 1) ** 2
    distance = axis[:, None, None] + axis[None, :, None] + axis[None, None, :]
    radius = float(np.sqrt(distance[ball].max()))
    if not np.array_equal(ball, distance <= radius ** 2 + 1e-6):
        raise ValueError("occ_kernel: the array does not hold a ball around its centre")
    return max(radius, 0.5), ball.shape[0]
