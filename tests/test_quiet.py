import logging
import warnings

from im2im.quiet import quieten


def test_the_advice_of_the_trainer_is_not_shown_and_other_warnings_are():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        quieten()
        warnings.warn("The 'val_dataloader' does not have many workers which may be a bottleneck", stacklevel=1)
        warnings.warn("disk is full", stacklevel=1)
    assert [str(one.message) for one in shown] == ["disk is full"]
    assert logging.getLogger("pytorch_lightning").level == logging.WARNING
