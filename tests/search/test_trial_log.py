import logging
import re

from tests_searching import search, train, trials_in

from im2im.search.halving import spaced
from im2im.search.results import table_of
from im2im.search.trial_log import changed, rank_search

LINE = {"x": "interval(-5,5)"}


def searched(url, directions=("maximize",)):
    found = trials_in(url, 2, LINE, directions=directions)
    found.plan([{"x": -5.0}, {"x": 1.0}], default=True)
    search(found, spaced(1, 4, 2))(train)
    return found


def test_trials_are_told_as_they_begin_and_end(url, caplog):
    with caplog.at_level(logging.INFO):
        searched(url)
    told = [re.sub(r"about [\d:]+ left", "TIME", record.getMessage()) for record in caplog.records if record.name.endswith("trial_log")]
    assert [one.removesuffix(", TIME") for one in told] == [
        "trial 1 of 2, 4 epochs, in trials/0: the default",
        "trial 1 of 2: value −36.2 after 4 epochs",
        "trial 2 of 2, 4 epochs, in trials/1: x=1",
        "trial 2 of 2: value −0.250 after 4 epochs",
    ]


def test_a_short_training_says_of_how_many_epochs(url, caplog):
    with caplog.at_level(logging.INFO):
        search(trials_in(url, 1, LINE), spaced(2, 4, 2))(train)
    assert "trial 1 of 1, 2 of 4 epochs, in trials/0: x=" in caplog.text


def test_a_failed_trial_says_why(url, caplog):
    search(trials_in(url, 1, {"kind": "choice(raises)", **LINE}))(train)
    assert "trial 1 of 1 failed: the loss is no number" in caplog.text


def test_a_trial_is_told_by_what_it_changes():
    usual = {"network": "fnet", "learning_rate": 0.001, "++batch_size": 8}
    assert changed({**usual, "learning_rate": 0.0123456}, usual) == "learning_rate=0.0123"
    assert changed({**usual, "network": "unet", "++batch_size": 4}, usual) == "network=unet, batch_size=4"
    assert changed({"network": "unet"}, {}) == "network=unet"
    assert changed(usual, usual) == "the default"


def ranked(capsys):
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]


def test_the_ranking_has_the_best_first_whichever_way_is_better(url, tmp_path, capsys):
    found = searched(url)
    rank_search(found, table_of(found), "val/pearson")
    assert [(row[0], row[1], row[4], row[5]) for row in ranked(capsys)] == [
        ("1", "−0.250", "trials/1", "x=1"),
        ("2", "−36.2", "trials/0", "the default"),
    ]
    lower = searched(f"sqlite:///{tmp_path}/lower.sqlite", ("minimize",))
    rank_search(lower, table_of(lower), "val/loss")
    assert [row[1] for row in ranked(capsys)] == ["−36.2", "−0.250"]


def test_trials_trained_to_their_end_rank_before_others(url, capsys):
    found = trials_in(url, 2, LINE)
    found.plan([{"x": -5.0}, {"x": 1.0}], default=True)
    one, other = found.ask(2)
    for trial, reached in ((one, 0.2), (other, 0.9)):
        trial.set_user_attr("reached", {"2": [reached]})
    found.complete(one, [0.2])
    found.prune(other)
    rank_search(found, table_of(found), "val/pearson")
    assert [row[1] for row in ranked(capsys)] == ["0.200", "0.900"]
