"""Statistics of opened images."""

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from im2im.data.index import Entry
from im2im.data.keeping import in_memory
from im2im.data.known import known_scale
from im2im.data.side import Side
from im2im.io.store import Store


def fitted(entries: list[Entry], source: Side, target: Side, keep: bool, workers: int, store: Store | None = None) -> list[Entry]:
    """Fit the normalization of every entry that has none; each image is read once, in however many entries it is.

    Args:
        entries: Opened pairs.
        source: How sources are normalized.
        target: How targets are normalized.
        keep: Read the images into memory once and for all.
        workers: Threads that read.
        store: Knows the statistics of images that were fitted before.
    """
    known = store or Store()

    def fit_source(entry: Entry) -> Entry:
        read = in_memory(entry, ("source",)) if keep else entry
        if entry.source_scale is not None:
            return read
        scale = known_scale(known, source, entry.source, entry.time, None, lambda: source.fit(read.source, read.time))
        return replace(read, source_scale=scale)

    def fit_target(entry: Entry) -> Entry:
        read = in_memory(entry, ("target", "cost_map")) if keep else entry
        if entry.target_scale is not None:
            return read
        find = partial(target.fit, read.target, read.time, read.cost_map)
        return replace(read, target_scale=known_scale(known, target, entry.target, entry.time, entry.cost_map, find))

    with ThreadPoolExecutor(max(workers, 2)) as pool:
        sources = _each_once(pool, fit_source, [(id(entry.source), entry.time) for entry in entries], entries)
        targets = _each_once(pool, fit_target, [(id(entry.target), id(entry.cost_map), entry.time) for entry in entries], entries)
        found = [
            replace(right, name=entry.name, source=left.source, source_scale=left.source_scale, matched=entry.matched, paired=entry.paired)
            for entry, left, right in zip(entries, sources(), targets(), strict=True)
        ]
    known.write()
    return found


def _each_once(
    pool: ThreadPoolExecutor, fit: Callable[[Entry], Entry], keys: Sequence[Hashable], entries: list[Entry]
) -> Callable[[], list[Entry]]:
    """Start fitting one entry of each key; what comes back waits for them and gives the one of each entry's key."""
    running = {key: pool.submit(fit, entry) for key, entry in dict(zip(keys, entries, strict=True)).items()}
    return lambda: [running[key].result() for key in keys]
