"""Finished runs of other tasks and frameworks, on small built-in data; look, do not touch."""

from pathlib import Path

import pytest
from tests_shared import SMALL, SMALL_JUDGES, command

PLAIN = [setting for setting in SMALL if not setting.startswith("network.")]


@pytest.fixture(scope="session")
def segmented(tmp_path_factory) -> Path:
    """Semantic segmentation into two classes."""
    return command(tmp_path_factory.mktemp("segmented"), "task=semantic", "network.channels=[4,8]", "network.strides=[2]", *PLAIN)


@pytest.fixture(scope="session")
def objects(tmp_path_factory) -> Path:
    """Instance segmentation."""
    return command(tmp_path_factory.mktemp("objects"), "task=instance", "network.channels=4", *PLAIN)


@pytest.fixture(scope="session")
def unpaired(tmp_path_factory) -> Path:
    """Label-free prediction from images that are no pairs, by cyclegan."""
    settings = ["task=labelfree", "framework=cyclegan", "data.unpaired=true", "framework.judges.target.pool_size=3"]
    return command(tmp_path_factory.mktemp("unpaired"), *settings, *SMALL, *SMALL_JUDGES)
