import pytest
import pytorch_lightning as pl
import torch

from im2im.callbacks.run_checkpoint import RunCheckpoint


class Recorded(pl.LightningModule):
    """Logs given losses, a score that grows with every epoch, and one that is NaN."""

    def __init__(self, losses) -> None:
        super().__init__()
        self.weight, self.losses = torch.nn.Parameter(torch.ones(1)), losses

    def training_step(self, batch, _):
        return (self.weight * batch).mean()

    def validation_step(self, batch, _):
        self.log_dict({"val/loss": self.losses[self.current_epoch], "val/score": float(self.current_epoch), "val/empty": float("nan")})

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0)


def fit(folder, losses, resume=None, monitor="val/loss"):
    images = torch.utils.data.DataLoader(torch.ones(1, 1))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    kept = RunCheckpoint(folder, filename="best", monitor=monitor, save_last=True, save_on_train_epoch_end=True)
    trainer = pl.Trainer(max_epochs=len(losses), accelerator="cpu", default_root_dir=folder, callbacks=[kept], **quiet)
    trainer.fit(Recorded(losses), images, images, ckpt_path=resume, weights_only=True)
    return kept.best_validation


@pytest.mark.parametrize(("monitor", "score"), [("val/loss", 1.0), (None, 2.0)])
def test_the_validation_of_the_epoch_that_is_kept_is_remembered(monitor, score, tmp_path):
    losses = [3.0, 1.0, 2.0]
    assert fit(tmp_path, losses, monitor=monitor) == {"val/loss": losses[int(score)], "val/score": score}


def test_it_outlasts_a_training_that_goes_on_without_becoming_better(tmp_path):
    fit(tmp_path, [3.0, 1.0])
    assert fit(tmp_path, [3.0, 1.0, 2.0], resume=tmp_path / "last.ckpt") == {"val/loss": 1.0, "val/score": 1.0}
