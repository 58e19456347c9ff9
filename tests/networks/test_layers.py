import pytest
import torch

from im2im.networks import layers

NORMS = [layers.batch_norm, layers.instance_norm]
POOLS = [layers.average_pool, layers.max_pool]


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize(
    ("layer", "edge"),
    [
        (lambda dims: layers.convolution(dims)(4, 4, 2, stride=2), 3),
        (lambda dims: layers.transposed_convolution(dims)(4, 4, 2, stride=2), 12),
    ]
    + [(lambda dims, pool=pool: pool(dims)(2), 3) for pool in POOLS]
    + [(lambda dims, layer=layer: layer(dims)(4), 6) for layer in NORMS],
)
def test_a_layer_works_on_images_of_its_dimension(layer, edge, spatial_dims):
    image = torch.rand(2, 4, *[6] * spatial_dims)
    assert layer(spatial_dims)(image).shape == (2, 4, *[edge] * spatial_dims)


@pytest.mark.parametrize("layer", [layers.convolution, layers.transposed_convolution, layers.channel_dropout, *POOLS, *NORMS])
@pytest.mark.parametrize("spatial_dims", [1, 4, "2"])
def test_a_dimension_that_does_not_exist_is_refused(layer, spatial_dims):
    with pytest.raises(ValueError, match=f"got {spatial_dims!r}; set spatial_dims=2 or spatial_dims=3"):
        layer(spatial_dims)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_dropout_silences_whole_channels(spatial_dims):
    torch.manual_seed(0)
    kept = layers.channel_dropout(spatial_dims)(0.5)(torch.ones(1, 64, *[4] * spatial_dims)).flatten(2)
    assert 0 < (kept == 0).all(dim=-1).sum() < 64
    assert ((kept == 0).all(dim=-1) | (kept == 2).all(dim=-1)).all()


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_batch_normalized_networks_are_stored_channels_last_and_compute_the_same(spatial_dims):
    network = torch.nn.Sequential(layers.convolution(spatial_dims)(3, 4, 3), layers.batch_norm(spatial_dims)(4)).eval()
    image = torch.rand(1, 3, *(8,) * spatial_dims)
    before = network(image)
    layout = {2: torch.channels_last, 3: torch.channels_last_3d}[spatial_dims]
    assert layers.fast_layout(network)[0].weight.is_contiguous(memory_format=layout)
    assert torch.allclose(network(image), before, atol=1e-6)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_other_networks_keep_their_layout(spatial_dims):
    network = torch.nn.Sequential(layers.convolution(spatial_dims)(3, 4, 3), layers.instance_norm(spatial_dims)(4))
    assert layers.fast_layout(network)[0].weight.is_contiguous()
