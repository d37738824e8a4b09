"""lenet.sweep.study: which trials there are."""

import itertools
import json

import pytest

from lenet.errors import DataError, UsageError
from lenet.sweep.study import Study

OPTIONS = {"--learning-rate": ["0.1", "0.01"], "--nkerns": ["20,50", "6,16"],
           "--filter-size": ["7,3", "5"], "--n-epochs": ["4"]}


def test_the_grid():
    study = Study("convolutional_mlp", OPTIONS)
    points = list(itertools.product(["0.1", "0.01"], ["20,50", "6,16"], ["7,3", "5"]))
    assert [tuple(trial.values.values()) for trial in study.trials] == points
    trial = study.trials[2]
    assert trial.name == "learning-rate=0.1_nkerns=6,16_filter-size=7,3"
    assert trial.arguments == ["--learning-rate", "0.1", "--nkerns", "6", "16", "--filter-size",
                               "7", "3", "--n-epochs", "4"]
    assert trial.epochs == 4
    assert len({trial.name for trial in study.trials}) == 8


def test_a_single_trial():
    trial, = Study("network3", {}).trials
    assert trial == ("trial", {}, [], 60)


def test_switches_are_on_or_off():
    study = Study("convolutional_mlp", {"--shuffle": ["yes", "no"], "--standardize": ["yes"]})
    assert [trial.arguments for trial in study.trials] == [["--shuffle", "--standardize"],
                                                           ["--standardize"]]
    assert [trial.name for trial in study.trials] == ["shuffle=yes", "shuffle=no"]
    with pytest.raises(UsageError, match="--shuffle on; expected yes or no"):
        Study("convolutional_mlp", {"--shuffle": ["on"]})


def test_names_are_names_of_folders():
    names = [trial.name for trial in Study("mlp", {"--dataset": ["a/b.pkl", "a%2Fb.pkl"]}).trials]
    assert names == ["dataset=a%2Fb.pkl", "dataset=a%252Fb.pkl"]
    long = [trial.name for trial in Study("mlp", {"--dataset": [300 * "a", 300 * "b"]}).trials]
    assert max(map(len, long)) < 100 and len(set(long)) == 2


def test_random_points_are_some_of_the_grid():
    options = {"--seed": [str(seed) for seed in range(10 ** 3)],
               "--batch-size": [str(size) for size in range(1, 10 ** 3)]}
    study = Study("mlp", options, n_random=40)
    names = [trial.name for trial in study.trials]
    assert len(set(names)) == 40
    assert names == [trial.name for trial in Study("mlp", options, n_random=40).trials]
    assert names != [trial.name for trial in Study("mlp", options, 40, random_seed=1).trials]
    few = {"--seed": ["1", "2"], "--momentum": ["0", "0.5", "0.9"]}
    assert Study("mlp", few, n_random=6).trials == Study("mlp", few).trials


@pytest.mark.parametrize("n, epochs, expected", [
    (12, 20, [(12, 1), (6, 2), (3, 5), (2, 10), (1, 20)]),
    (8, 8, [(8, 1), (4, 2), (2, 4), (1, 8)]),
    (8, 100, [(8, 12), (4, 25), (2, 50), (1, 100)]),
    (12, 3, [(12, 1), (6, 3)]),
    (5, 1, [(5, 1)]),
    (1, 9, [(1, 9)]),
])
def test_rungs(n, epochs, expected):
    options = {"--seed": [str(seed) for seed in range(n)], "--n-epochs": [str(epochs)]}
    assert Study("mlp", options, halving=True).rungs() == expected
    assert Study("mlp", options).rungs() == [(n, None)]


@pytest.mark.parametrize("arguments, words", [
    (("mlp", {"--seed": ["1", "2"]}, 3), "--random 3; expected at least 1 and at most 2"),
    (("mlp", {"--seed": ["1", "2"]}, 0), "--random 0"),
    (("lenet5_1998", {"--seed": ["1", "2"]}, None, 0, True), "lenet5_1998.py cannot"),
    (("network3", {"--epochs": ["1", "2"]}, None, 0, True), "give --epochs one value"),
    (("convolutional_mlp", {"--nkerns": ["20", "50"]}), "--nkerns 20; expected 2 .* such as 20,50"),
])
def test_wrong_use(arguments, words):
    with pytest.raises(UsageError, match=words):
        Study(*arguments)


@pytest.mark.parametrize("script, option, text, words", [
    ("convolutional_mlp", "--filter-size", "7,3,2", "3 sizes; expected one for both layers"),
    ("network3", "--conv-layers", "3", "argument --conv-layers: invalid choice: 3"),
    ("mlp", "--learning-rate", "0.1,0.2", "argument --learning-rate: invalid float value"),
])
def test_what_an_option_refuses(script, option, text, words, capsys):
    with pytest.raises(SystemExit) as end:
        Study(script, {"--seed": ["1", "2"], option: [text]})
    assert end.value.code == 2
    assert words in capsys.readouterr().err


def test_a_folder_is_of_one_study(tmp_path):
    folder, study = str(tmp_path / "study"), Study("mlp", {"--seed": ["1", "2"]})
    lock, threads = study.open(folder)
    assert threads is None
    with pytest.raises(DataError, match="in use by process"):
        study.open(folder)
    study.save(folder, 3)
    lock.close()
    lock, threads = study.open(folder)
    assert threads == 3
    lock.close()
    for other, words in [
            (Study("mlp", {"--seed": ["1", "3"]}), "--seed 1 2, not 1 3"),
            (Study("mlp", {"--seed": ["1", "2"], "--momentum": ["0.5"]}),
             "--momentum left out, not 0.5"),
            (Study("network3", {"--seed": ["1", "2"]}), "script mlp, not network3"),
            (Study("mlp", {"--seed": ["1", "2"]}, halving=True), "halving False, not True")]:
        with pytest.raises(UsageError, match="a study of other options .*" + words):
            other.open(folder)
    assert json.loads((tmp_path / "study" / "study.json").read_text())["threads"] == 3


def test_folders_that_hold_something_else(tmp_path):
    (tmp_path / "a.txt").write_text("")
    study = Study("mlp", {})
    with pytest.raises(UsageError, match="holds a.txt, but no study"):
        study.open(str(tmp_path))
    for text in ("[]", "{}", "x"):
        (tmp_path / "study.json").write_text(text)
        with pytest.raises(DataError, match="study.json: no options of a study"):
            study.open(str(tmp_path))
