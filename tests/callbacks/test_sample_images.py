import imageio.v3 as iio
import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from im2im.callbacks.sample_images import SampleImages


class Half(pl.LightningModule):
    """Predicts half of the source."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, source):
        return source * self.weight

    def training_step(self, batch, batch_idx):
        return (self(batch["source"]) - batch["target"]).square().mean()

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(callback: SampleImages, epochs: int, folder) -> None:
    image = torch.linspace(0, 1, 64 * 64).reshape(1, 64, 64)
    sample = {"source": image, "target": image, "name": "cell_7"}
    loader = torch.utils.data.DataLoader([sample, sample], batch_size=2)
    settings = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", default_root_dir=folder, callbacks=[callback], num_sanity_val_steps=0, **settings
    )
    trainer.fit(Half(), loader, loader)


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


def test_a_number_of_epochs_below_one_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"callbacks\.sample_images\.every_n_epochs=1"):
        SampleImages(tmp_path, every_n_epochs=0)
