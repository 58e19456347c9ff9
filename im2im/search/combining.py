"""After one change at a time: those that helped, together."""

from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial

TOGETHER = 3  # trials that put changes together


def combined(trials: Sequence[FrozenTrial], epochs: int, maximize: bool) -> list[dict[str, Any]]:
    """Put changes together that were better than the default by themselves.

    Args:
        trials: Of a search; the default, and those that differ from it in one dimension, are looked at.
        epochs: After which they are compared; those that did not get there as well, because their time was over.
        maximize: Whether more is better.

    Returns:
        Values of trials to come: all changes that helped, then the best two of them, three, and so on; none where fewer than two helped.
    """
    reached = {one.number: one.user_attrs.get("reached", {}).get(str(epochs)) for one in trials}
    default = next((one for one in trials if one.user_attrs.get("default") and reached[one.number]), None)
    if default is None:
        return []
    gains: list[tuple[float, str, Any]] = []
    for one in trials:
        changed = [name for name, value in one.params.items() if value != default.params.get(name)]
        if reached[one.number] and len(changed) == 1:
            gain = (reached[one.number][0] - reached[default.number][0]) * (1 if maximize else -1)
            gains.append((gain, changed[0], one.params[changed[0]]))
    best: dict[str, Any] = {}
    for gain, name, value in sorted(gains, key=lambda one: -one[0]):
        if gain > 0:
            best.setdefault(name, value)
    counts = [len(best), *range(2, len(best))][:TOGETHER] if len(best) > 1 else []
    return [{**default.params, **dict(list(best.items())[:count])} for count in counts]
