import pytest

from im2im.report.history import read_history


def write(run, version, text):
    folder = run / "logs" / f"version_{version}"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(text)


def test_rows_of_one_epoch_become_one(tmp_path):
    write(tmp_path, 0, "epoch,step,train/loss,val/loss\n0,4,2.0,\n0,9,4.0,\n0,9,,5.0\n1,19,1.0,\n")
    table = read_history(tmp_path).table
    assert table["train/loss"].tolist() == [3.0, 1.0]
    assert table["val/loss"].dropna().to_dict() == {0: 5.0}


def test_two_versions_join_and_the_later_one_counts(tmp_path):
    write(tmp_path, 10, "epoch,step,train/loss\n2,30,0.2\n3,40,0.1\n")
    write(tmp_path, 9, "epoch,step,train/loss,val/loss\n0,10,1.0,\n1,20,0.5,0.6\n2,30,9.0,0.7\n")
    table = read_history(tmp_path).table
    assert table["train/loss"].to_dict() == {0: 1.0, 1: 0.5, 2: 0.2, 3: 0.1}
    assert table["val/loss"].dropna().to_dict() == {1: 0.6, 2: 0.7}


def test_values_that_are_not_finite_are_counted_and_left_out(tmp_path):
    write(tmp_path, 0, "epoch,step,train/loss,val/loss\n0,1,1.0,\n1,2,nan,\n2,3,inf,2.0\n")
    history = read_history(tmp_path)
    assert history.not_finite == {"train/loss": 2}
    assert history.table["train/loss"].dropna().tolist() == [1.0]


def test_row_without_an_epoch_belongs_to_the_next_one(tmp_path):
    write(tmp_path, 0, "epoch,step,lr,train/loss\n,0,0.1,\n0,9,,1.0\n,10,0.05,\n1,19,,0.5\n")
    assert read_history(tmp_path).table["lr"].to_dict() == {0: 0.1, 1: 0.05}


@pytest.mark.parametrize("text", ["", "epoch,step\n", "nothing\n1\n"])
def test_empty_logs_are_an_empty_history(tmp_path, text):
    write(tmp_path, 0, text)
    assert read_history(tmp_path).table.size == 0
