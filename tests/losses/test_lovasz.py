import torch

from im2im.losses.lovasz import lovasz_weights


def jaccard_loss(wrong, positive):
    """Of a prediction that is wrong at some pixels: one minus intersection over union."""
    predicted = positive ^ wrong
    return 1 - (predicted & positive).sum().item() / (predicted | positive).sum().item()


def test_weights_are_the_steps_of_the_jaccard_loss_of_each_object():
    generator = torch.Generator().manual_seed(0)
    errors, group = 2 * torch.rand(60, generator=generator), torch.randint(3, (60,), generator=generator)
    positive = torch.rand(60, generator=generator) > 0.6
    weights = lovasz_weights(errors, positive, group)
    for number in range(3):
        mine = group == number
        wrong, before = torch.zeros(int(mine.sum()), dtype=torch.bool), 0.0
        for index in errors[mine].argsort(descending=True):
            wrong[index] = True
            after = jaccard_loss(wrong, positive[mine])
            torch.testing.assert_close(weights[mine][index].item(), after - before, rtol=1e-6, atol=1e-7)
            before = after


def test_weights_of_a_large_object_keep_their_digits():
    count = 1 << 20
    errors = torch.linspace(2, 0, count)
    weights = lovasz_weights(errors, torch.ones(count, dtype=torch.bool), torch.zeros(count, dtype=torch.long))
    torch.testing.assert_close(weights, torch.full((count,), 1 / count), rtol=1e-6, atol=0)
