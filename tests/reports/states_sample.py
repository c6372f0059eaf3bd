"""A small record of states for tests: a staircase of states, with undecided parts and everything a page can show."""

import numpy as np


def tree_of(number):
    """Merges of leaves, one after the other."""
    return [{"one": 0 if k == 0 else number + k - 1, "other": k + 1, "height": 1.0 + k, "log_odds": -1.0}
            for k in range(number - 1)]


def record(volumes=12, names=("A", "B", "C", "D"), states=3, seed=0):
    """State s lacks the last s parts; the second part of the last state is undecided."""
    rng = np.random.default_rng(seed)
    parts, label = list(names), np.arange(volumes) % states
    truth = np.array([[float(p < len(parts) - s) for p in range(len(parts))] for s in range(states)])
    truth[states - 1, 1] = 0.5
    found = truth[label] + rng.normal(0, 0.02, (volumes, len(parts)))
    told = []
    for s in range(states):
        called = {"present": [], "absent": [], "undecided": []}
        for name, value in zip(parts, truth[s], strict=True):
            called["present" if value > 0.6 else "absent" if value < 0.4 else "undecided"].append(name)
        told.append({"state": s + 1, "volumes": int((label == s).sum()), "particles": None,
                     "share": float((label == s).mean()), "se": 0.1, "evidence": 9.0, "mean": None, **called})
    return {
        "kind": "states", "threshold": 0.5, "shares_of": "volumes", "left_out": [], "warnings": [], "continuum": None,
        "states": told, "parts": [{"part": name, "atoms": 100 * (k + 1), "reference": k == 0, "growth_of_noise": 1.0}
                                  for k, name in enumerate(parts)],
        "volumes": [{"map": f"vol_{k}.mrc", "state": int(label[k]) + 1} for k in range(volumes)],
        "occupancy": {"of_volumes": found.tolist(), "se_of_volumes": np.full(found.shape, 0.05).tolist(),
                      "of_states": truth.tolist(), "se_of_states": np.full(truth.shape, 0.03).tolist()},
        "volume_tree": tree_of(volumes), "part_tree": tree_of(len(parts)),
        "order": [{"part": parts[-1], "other": parts[-2], "relation": "only with", "evidence": 0.99, "states": states}],
        "graph": [{"from": s + 1, "to": s, "adds": [parts[-s]], "loses": [], "undecided": []}
                  for s in range(1, states)],
    }


def maps(states=3, parts=4, size=36):
    """Mean maps: parts are balls in a row along x; state s lacks the last s of them."""
    from occupy_jit.reports.states_page.views import StateView, Views

    z, y, x = np.mgrid[:size, :size, :size * 2].astype(np.float32)
    step = 2 * size / parts
    ball = [np.clip(1.5 - np.sqrt((x - step * (p + 0.5)) ** 2 + (y - size / 2) ** 2 + (z - size / 2) ** 2) / (step / 2),
                    0, 1) for p in range(parts)]
    shown = []
    for s in range(states):
        density = np.max(ball[:parts - s], axis=0)
        shown.append(StateView(density, (density > 0.2).astype(np.float32), 0.3))
    number = np.where(np.max(ball, axis=0) > 0.2, np.argmax(ball, axis=0) + 1, 0).astype(np.int32)
    return Views(tuple(shown), number, 2.0, 2.0)
