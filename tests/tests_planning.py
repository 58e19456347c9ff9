"""Situations that plans are made for."""

from im2im.planning.plan import make_plan
from im2im.planning.situation import Situation

FACTS = {
    "images": {"train": 40, "val": 4},
    "size": [512, 512],
    "smallest": [512, 512],
    "channels": [1, 1],
    "voxel_size": [1.0, 1.0],
    "smoothing": {"sigma": [0.0, 0.0], "similarity": 0.1},
}
CELLS = {"foreground": 0.3, "objects": {"in each image": 20, "width": 30.0, "length": 50.0, "area": 900.0, "small": 90.0}}
STACK = {"size": [64, 256, 256], "smallest": [64, 256, 256], "voxel_size": [0.5, 0.5, 0.5]}
EMBEDSEG = {"framework": "embedseg", "network": "branched_erfnet"}


def alike(similarity, sigma=0.0):
    """Facts of a target that is like its source after a Gaussian filter."""
    return {"smoothing": {"sigma": [sigma, sigma], "similarity": similarity}}


def settings(kind="intensities", given=(), facts=(), **others):
    """Plan, and give all settings."""
    situation = Situation(facts={**FACTS, **dict(facts)}, kind=kind, given=given, **others)
    return make_plan(situation, {"network": situation.network}).settings
