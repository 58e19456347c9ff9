"""Advice of the trainer that does not apply to this package."""

import logging
import warnings

TRAINERS_CHATTER = (
    ".*LeafSpec.*",  # of its own making
    ".*does not have many workers.*",
    ".*sync_dist=True.*",  # what is logged is the same in all processes
    ".*Checkpoint directory .* exists and is not empty.*",  # that of the run that goes on; others are refused
    ".*when using `ckpt_path`, callbacks used to create.*",  # the configuration says which there are
)


def quieten() -> None:
    """Silence advice of the trainer that does not apply here."""
    for chatter in ("pytorch_lightning", "lightning_fabric", "lightning.fabric"):
        logging.getLogger(chatter).setLevel(logging.WARNING)
    for chatter in TRAINERS_CHATTER:
        warnings.filterwarnings("ignore", message=chatter)
