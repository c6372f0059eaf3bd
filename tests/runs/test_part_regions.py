"""Where parts and masks lie on the grid of a report."""

from types import SimpleNamespace

import numpy as np
import pytest

from occupy_jit.reports.page.display_grid import Grid
from occupy_jit.runs.one_map.part_regions import REACH_ANGSTROM, Regions

VOXEL = 1.5
GRID = Grid((slice(4, 44), slice(2, 42), slice(6, 46)), 2.0, (20, 20, 20))


def fitted(names, xyz, part_of_atom):
    return SimpleNamespace(names=names, model=SimpleNamespace(xyz=np.asarray(xyz, float)),
                           frame=SimpleNamespace(origin=np.array([10.0, 20.0, 30.0])),
                           part_of_atom=np.asarray(part_of_atom))


def test_every_voxel_near_atoms_belongs_to_the_nearest_part():
    pytest.importorskip("scipy")
    random = np.random.default_rng(0)
    spacing = VOXEL * GRID.step
    first = np.array(GRID.origin(VOXEL, (10.0, 20.0, 30.0)))
    xyz = first + spacing * random.integers(2, 18, (40, 3))  # on the points of the grid
    xyz[7] = first + 100 * spacing  # outside
    part = np.arange(40) % 4
    part[11] = -1  # of no part
    regions = Regions(GRID, VOXEL)
    regions.add_parts(fitted(list("ABCD"), xyz, part))
    points = first + spacing * np.stack(np.meshgrid(*[np.arange(20)] * 3, indexing="ij"), -1).reshape(-1, 3)
    used = [i for i in range(40) if i not in (7, 11)]
    # several atoms of other parts may share a point: the last one counts
    last = {tuple(xyz[i]): part[i] for i in used}
    atoms, numbers = np.array(list(last)), np.array(list(last.values())) + 1
    distance = np.linalg.norm(points[:, None] - atoms, axis=2)
    order = np.sort(distance, axis=1)
    found = regions.layers[0].transpose(2, 1, 0).reshape(-1)  # x, y, z
    reach = max(REACH_ANGSTROM, 1.5 * spacing)
    assert (found[order[:, 0] > reach + 1e-6] == 0).all()
    sure = (order[:, 0] < reach - 1e-6) & (order[:, 1] - order[:, 0] > 1e-6)
    assert sure.sum() > 100
    assert np.array_equal(found[sure], numbers[distance.argmin(1)][sure])
    assert regions.place == {("part", name): (0, k + 1) for k, name in enumerate("ABCD")}


def test_more_parts_than_a_byte_holds_go_into_another_layer():
    pytest.importorskip("scipy")
    first = np.array(GRID.origin(VOXEL, (10.0, 20.0, 30.0)))
    places = np.stack(np.meshgrid(*[np.arange(1, 19, 2)] * 3, indexing="ij"), -1).reshape(-1, 3)[:300]
    regions = Regions(GRID, VOXEL)
    regions.add_parts(fitted([f"p{k}" for k in range(300)], first + VOXEL * GRID.step * places, np.arange(300)))
    assert len(regions.layers) == 2 and len(regions.place) == 300
    for k in (0, 254, 255, 299):
        layer, number = regions.place["part", f"p{k}"]
        x, y, z = places[k]
        assert regions.layers[layer][z, y, x] == number and layer == (k > 254)


def test_masks_that_overlap_lie_in_different_layers_and_others_share_one():
    masks = {}
    for name, part in (("a", np.s_[10:20]), ("b", np.s_[15:30]), ("c", np.s_[30:40])):
        masks[name] = np.zeros((48, 48, 48), np.float32)
        masks[name][part] = 1.0
    regions = Regions(GRID, VOXEL)
    for name, mask in masks.items():
        regions.add_mask(name, mask)
    regions.add_mask("empty", np.zeros((48, 48, 48), np.float32))
    assert {name: place[0] for (_, name), place in regions.place.items()} == {"a": 0, "b": 1, "c": 0}
    for name, mask in masks.items():
        layer, number = regions.place["mask", name]
        inside = mask[GRID.crop].reshape(20, 2, 20, 2, 20, 2).mean((1, 3, 5))
        assert (regions.layers[layer][inside == 1] == number).mean() > 0.9
        assert not (regions.layers[layer][inside == 0] == number).any()
