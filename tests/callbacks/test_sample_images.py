import imageio.v3 as iio
import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from im2im.callbacks.sample_images import SampleImages
from im2im.losses.reconstruction import MSE
from im2im.losses.segmentation import CrossEntropy
from im2im.normalization import Identity
from im2im.tasks.regression import Regression
from im2im.tasks.semantic import Semantic

TASK = Regression(MSE(), Identity(), {})


class Half(pl.LightningModule):
    """Predicts half of the source; a task of labels rounds it."""

    def __init__(self, task=TASK) -> None:
        super().__init__()
        self.task = task
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, source):
        return source * self.weight

    def activate(self, prediction):
        return self.task.activate(prediction)

    def interpret(self, output):
        return self.task.interpret(output)

    def training_step(self, batch, batch_idx):
        return (self(batch["source"]) - batch["target"]).square().mean()

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(callback: SampleImages, epochs: int, folder, task=TASK, **facts) -> None:
    image = torch.linspace(0, 1, 64 * 64).reshape(1, 64, 64)
    sample = {"source": image, "target": image, "name": "cell_7", **facts}
    loader = torch.utils.data.DataLoader([sample, sample], batch_size=2)
    settings = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", default_root_dir=folder, callbacks=[callback], num_sanity_val_steps=0, **settings
    )
    trainer.fit(Half(task), loader, loader)


def test_the_first_and_every_nth_epoch_is_shown(tmp_path):
    fit(SampleImages(tmp_path / "samples", every_n_epochs=2), 5, tmp_path)
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [f"epoch_{epoch:04d}.png" for epoch in (1, 2, 4)]


def test_the_prediction_is_drawn_darker_than_the_target_it_is_half_of(tmp_path):
    fit(SampleImages(tmp_path / "samples"), 1, tmp_path)
    picture = iio.imread(tmp_path / "samples" / "epoch_0001.png")
    quarter = picture.shape[1] // 4
    target, prediction = (picture[-64:, place * quarter + 20 : (place + 1) * quarter - 20].astype(float).mean() for place in (1, 2))
    assert prediction < 0.8 * target
    assert np.ptp(picture) > 200


def test_a_target_that_does_not_show_the_same_is_not_drawn(tmp_path):
    fit(SampleImages(tmp_path / "pairs"), 1, tmp_path, matched=True)
    fit(SampleImages(tmp_path / "no_pairs"), 1, tmp_path, matched=False)
    pairs, no_pairs = (iio.imread(tmp_path / folder / "epoch_0001.png") for folder in ("pairs", "no_pairs"))
    assert pairs.shape[1] == pytest.approx(2 * no_pairs.shape[1], rel=0.05)  # four pictures, or two


def test_classes_are_drawn_in_colours(tmp_path):
    task = Semantic(CrossEntropy(), single=True)
    fit(SampleImages(tmp_path / "samples"), 1, tmp_path, task)
    picture = iio.imread(tmp_path / "samples" / "epoch_0001.png")[-64:].astype(int)
    quarter = picture.shape[1] // 4
    coloured = [np.ptp(picture[:, place * quarter : (place + 1) * quarter], axis=2).max() > 50 for place in range(4)]
    assert coloured[1:3] == [True, True]
    assert not coloured[0]


def test_a_number_of_epochs_below_one_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"callbacks\.sample_images\.every_n_epochs=1"):
        SampleImages(tmp_path, every_n_epochs=0)
