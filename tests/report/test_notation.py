import io

import pytest
from rich.console import Console

from im2im.report.notation import better, duration, metric_label, number, number_range, spread
from im2im.report.terminal import metric_table


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.83456, "0.835"), (28.156, "28.2"), (1234.5, "1234"), (-0.5, "−0.500"), (0, "0"), (0.0000123, "1.23e−5"), (float("nan"), "–")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_deviation_has_the_decimals_of_its_mean():
    assert (spread(28.16, 0.5123), spread(0.8346, 0.0521)) == ("0.5", "0.052")


def test_ends_of_a_range_have_the_same_decimals():
    assert number_range(0.0847, 0.978) == "0.085 to 0.978"
    assert number_range(-12.3456, 0) == "−12.3 to 0"


@pytest.mark.parametrize(("seconds", "text"), [(41.7, "42 s"), (200, "3 min 20 s"), (3599.6, "1 h 00 min"), (18125, "5 h 02 min")])
def test_durations_are_written_in_two_units(seconds, text):
    assert duration(seconds) == text


def test_metric_names_are_those_of_people():
    assert [metric_label(name) for name in ("pearson", "dice/gland", "mine")] == ["Pearson r", "Dice, gland", "mine"]
    assert [better(name) for name in ("pearson", "nrmse", "dice/gland", "mine")] == ["higher", "lower", "higher", ""]


def test_terminal_table_holds_every_metric():
    console = Console(file=io.StringIO(), width=80)
    console.print(metric_table({"pearson": {"mean": 0.83, "std": 0.05, "n": 8}, "dice/[red]": {"mean": 0.5}}))
    text = console.file.getvalue()
    assert all(part in text for part in ("Pearson r", "0.830", "0.050", " 8 ", "Dice, [red]"))


def test_the_best_baseline_has_a_column_of_its_own():
    console = Console(width=100, record=True, file=io.StringIO())
    other = {"pearson": {"mean": 0.71, "std": None, "n": 8}}
    console.print(metric_table({"pearson": {"mean": 0.83}, "ssim": {"mean": 0.5}}, baselines={"gaussian": other, "identity": {}}))
    text = console.export_text()
    assert "baseline: Gaussian filter" in text
    assert "subset" not in text
    assert "0.710" in text
    assert "identity" not in text


def test_a_subset_stands_beside_its_baseline():
    console = Console(file=io.StringIO(), width=120)
    whole, part, other = ({"pearson": {"mean": mean, "std": 0.1, "n": n}} for mean, n in ((0.83, 9), (0.81, 3), (0.72, 2)))
    console.print(metric_table(whole, baselines={"gaussian": other}, subset=part))
    *_, row = [line for line in console.file.getvalue().splitlines() if "Pearson" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["Pearson r", "0.830", "0.100", "9", "0.810", "2", "0.720"]
