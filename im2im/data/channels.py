"""Numbers of channels that must agree, between images and with a network."""

from collections.abc import Mapping

from im2im.data.index import Entry


def check_wanted(entry: Entry, wanted: Mapping[str, int | None]) -> None:
    """Raise ValueError unless an entry has the channels that a network takes, by role; None takes any number."""
    for role, count in wanted.items():
        image = getattr(entry, role)
        if count is not None and image.shape[1] != count:
            raise ValueError(f"{image.path} has {image.shape[1]} channels, the network takes {count}; choose with data.{role}_channels")


def check_alike(entry: Entry, first: Entry) -> None:
    """Raise ValueError unless an entry has the channels of the first one."""
    for role in ("source", "target"):
        here, there = getattr(entry, role), getattr(first, role)
        if here.shape[1] != there.shape[1]:
            raise ValueError(
                f"{here.path} has {here.shape[1]} channels, {there.path} has {there.shape[1]}; choose with data.{role}_channels"
            )
