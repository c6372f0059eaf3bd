"""Pictures of ligands in a report: where atoms and density are drawn, and names that mean harm."""

import base64
import re
import struct
import zlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("scipy")

from occupy_jit.reports.page.data import LigandSite  # noqa: E402
from occupy_jit.reports.page.page import render  # noqa: E402
from occupy_jit.reports.page.sites import picture  # noqa: E402
from occupy_jit.runs.one_map.site_pictures import pictures  # noqa: E402
from tests.reports.sample import HOSTILE, report_data  # noqa: E402

BLACK = (0x2F, 0x42, 0x58)


def pixels(svg):
    """The picture inside of an SVG: (height, width, 3)."""
    data = base64.b64decode(re.search(r"base64,([^\"]+)", svg)[1])
    width, height = struct.unpack(">II", data[16:24])
    start = data.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(data[start:data.index(b"IEND") - 8]), np.uint8).reshape(height, -1)[:, 1:]
    return np.cumsum(rows, 0, dtype=np.uint8).reshape(height, width, 3)


def site(**given):
    section = np.zeros((30, 40), np.float32)
    section[4:7, 9:12] = 1  # low in the picture, at the left
    here = {"name": "A/LIG1", "said": "0.50 (0.40 to 0.60), present", "details": "detection limit 0.20",
            "section": section, "pixel": 0.5, "atoms": np.array([[5.25, 2.75], [10.0, 7.5]]),
            "bonds": np.array([[0, 1]]), "others": np.array([[15.0, 1.0]]), "other_bonds": np.zeros((0, 2), int)}
    return LigandSite(**here | given)


def test_atoms_lie_on_their_density():
    svg = picture(site())
    drawn = pixels(svg)
    scale = 240 / 20  # units of the picture per Å
    assert drawn.shape == (30, 40, 3)
    circles = [tuple(map(float, found)) for found in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="2.6"', svg)]
    assert circles == [(63.0, 147.0), (120.0, 90.0)]
    x, y = circles[0]
    assert tuple(drawn[int(y / scale / 0.5), int(x / scale / 0.5)]) == BLACK
    x, y = circles[1]
    assert tuple(drawn[int(y / scale / 0.5), int(x / scale / 0.5)]) == (255, 255, 255)
    assert "M63.0,147.0L120.0,90.0" in svg and svg.count("<circle") == 3


def test_the_page_shows_every_ligand_and_no_name_is_code():
    data = report_data(everything=False)
    plain = render(data)[0].decode()
    assert 'id="ligands"' not in plain
    html = render(replace(data, sites=(site(), site(name=HOSTILE, said=HOSTILE))))[0].decode()
    assert 'id="ligands"' in html and 'href="#ligands"' in html and html.count('<svg class="site"') == 2
    assert "<strong>A/LIG1</strong> 0.50 (0.40 to 0.60), present" in html
    assert "onerror=alert(1)>" not in html.replace("&gt;", "") and "<img src=x" not in html


def test_the_section_goes_through_the_ligand_where_it_is_widest():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    flat = np.array([[i, j, 0.0] for i in range(-4, 5, 2) for j in (-1, 1)]) @ turn.T
    position, voxel_size = np.array([-30.0, -25.0, -20.0]), 1.0
    grid = np.moveaxis(np.indices((60, 60, 60)), 0, -1)[..., ::-1] * voxel_size + position
    distance = np.linalg.norm(grid[..., None, :] - flat, axis=-1).min(-1)
    volume = SimpleNamespace(data=np.exp(-(distance / 1.5) ** 2).astype(np.float32), voxel_size=voxel_size)
    far = np.array([[20.0, 0, 0]])
    model = SimpleNamespace(xyz=np.concatenate([flat, far]), residue=np.array([0] * 10 + [1]))
    fitted = SimpleNamespace(model=model, frame=SimpleNamespace(origin=position),
                             ligands=SimpleNamespace(residues=[np.array([0])]))
    row = {"part": "A/LIG1", "occupancy": 1.0, "low": 0.9, "high": 1.1, "call": "present", "detection_limit": 0.1,
           "remark": "", "relative_to_chain": None, "dB": None, "differs": False, "chain": "A"}
    (found,) = pictures(volume, fitted, [row])
    assert found.name == "A/LIG1" and not len(found.others)
    # all atoms lie in the plane: there the density is high, beside them it is not
    at = (found.atoms / found.pixel).astype(int)
    assert found.section[at[:, 1], at[:, 0]].min() > 0.7
    assert found.section[0].max() < 0.05 and np.ptp(found.atoms[:, 0]) == pytest.approx(8, abs=0.01)
