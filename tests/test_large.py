import numpy as np
import pytest

from im2im import large
from im2im.large import LargeArray
from im2im.normalization import Center, Identity, Macenko, Mask, MinMax, Percentile, Standard

ALL_CHANNELS = [Percentile(per_channel=False), Standard(per_channel=False)]
NORMALIZATIONS = [Percentile(), MinMax(), Standard(), Center(slices=3), Mask(), Identity(), *ALL_CHANNELS]


def lazy(array):
    return LargeArray(lambda region: array[region], tuple(slice(0, length) for length in array.shape), array.dtype)


@pytest.fixture(autouse=True)
def _small_slabs(monkeypatch):
    monkeypatch.setattr(large, "SLAB", 600)


@pytest.mark.parametrize("shape", [(2, 13, 50), (1, 9, 13, 50), (3, 1, 1)], ids=str)
def test_slabs_make_up_the_array_and_are_small(shape):
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    slabs = list(lazy(array).slabs())
    assert np.array_equal(np.sort(np.concatenate([slab.ravel() for slab in slabs])), array.ravel())
    assert max(slab.nbytes for slab in slabs) <= 600
    assert len(slabs) > 1 or array.nbytes <= 600


def test_a_cut_reads_only_what_it_holds():
    array = np.arange(5 * 4 * 3).reshape(1, 5, 4, 3)
    cut = lazy(array)[:, 1:3][:, 1:]
    assert cut.shape == (1, 1, 4, 3)
    assert np.array_equal(np.concatenate(list(cut.slabs())), array[:, 2:3])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", "uint32"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS, ids=lambda one: f"{type(one).__name__}-{getattr(one, 'per_channel', '')}")
@pytest.mark.parametrize("shape", [(2, 40, 31), (2, 7, 15, 31)], ids=str)
def test_statistics_are_those_of_the_array_in_memory(normalization, shape, dtype):
    rng = np.random.default_rng(0)
    array = (rng.gamma(2, 30, shape)).astype(dtype)
    if array.dtype.kind == "f":
        array.flat[::17] = np.nan
    here, there = normalization.fit(array), normalization.fit(lazy(array))
    assert here.offset == pytest.approx(there.offset, rel=1e-12)
    assert here.scale == pytest.approx(there.scale, rel=1e-12)


def test_stains_are_found_in_a_sample():
    rng = np.random.default_rng(0)
    amounts = rng.uniform(0.2, 1.5, (2, 60 * 60))
    colours = np.array([[0.65, 0.07], [0.70, 0.99], [0.29, 0.11]])
    image = (240 * np.exp(-colours @ amounts) - 1).clip(0, 255).reshape(3, 60, 60).astype(np.uint8)
    here, there = Macenko().fit(image), Macenko().fit(lazy(image))
    assert np.allclose(here.matrix, there.matrix, atol=1e-6)
