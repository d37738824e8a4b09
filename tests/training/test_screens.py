"""A training in a notebook: one bar, the stop button, a second training."""

import os
import signal

import pytest
from test_watch import Recorder, roll

from lenet.convolutional_mlp import evaluate_lenet5
from lenet.errors import Interrupted
from lenet.runs.run import Run
from lenet.training.loop import Observer
from lenet.training.screens import Cell
from lenet.training.watch import StopOnSignals


def displays(notebook):
    """The texts of each place that was shown, first the one it began with."""
    places = {}
    for output in notebook.display_pub.outputs:
        place = output["transient"]["display_id"]
        assert output.get("update", False) == (place in places)
        places.setdefault(place, []).append(output["data"]["text/plain"])
    return list(places.values())


def press_stop(index):
    if index == 1:
        os.kill(os.getpid(), signal.SIGINT)


def test_one_bar_in_the_place_of_the_lines(notebook, capsys):
    assert roll(2) == -0.5 * 3 * 2
    (first, *_, last), = displays(notebook)
    assert first == "0 of 6 minibatches"
    assert last.startswith("6 of 6 minibatches, cost ") and "\n" not in last
    out, err = capsys.readouterr()
    assert out.splitlines()[:2] == [
        "Optimization complete.",
        "Best validation score of 0.000000 % obtained at iteration 3, with test performance "
        "0.000000 %"]
    assert out.splitlines()[2].startswith("The code for file ball.py ran for ")
    assert len(out.splitlines()) == 3 and err == ""


def test_the_latest_lines_stand_below_the_bar(notebook):
    cell = Cell(10, 4)
    for number in range(6):
        cell.print_line(f"line <{number}>")
    cell.count_minibatch(0.25)
    cell.redraw()
    shown = notebook.display_pub.outputs[-1]["data"]
    bar, *lines = shown["text/plain"].splitlines()
    assert bar.startswith("5 of 10 minibatches, cost 0.2500, ") and bar.endswith(" left")
    assert lines == ["line <2>", "line <3>", "line <4>", "line <5>"]
    assert '<progress value="5" max="10"' in shown["text/html"]
    assert "line &lt;5&gt;" in shown["text/html"] and "line <" not in shown["text/html"]


def test_a_second_training_starts_clean(notebook, capsys):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    roll(9, at_minibatch=press_stop)
    assert roll(2) == -0.5 * 3 * 2
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    stopped, second = displays(notebook)
    assert stopped[-1].startswith("2 of 27 minibatches")
    assert second[0] == "0 of 6 minibatches" and second[-1].startswith("6 of 6 minibatches")
    assert capsys.readouterr().out.count("Optimization complete.") == 2


def test_the_stop_button_keeps_what_was_learned(notebook, small_dataset, tmp_path, capsys):
    class Press(Observer):
        def minibatch_ends(self, result):
            if result.iteration == 7:  # of the second epoch
                press_stop(1)

    settings = {"n_epochs": 3, "dataset": small_dataset, "nkerns": (2, 3), "batch_size": 50}
    folder = str(tmp_path / "run")
    model, result = evaluate_lenet5(**settings, observers=[Run.create(folder, {}), Press()])
    assert (result.stopped, result.iteration, len(result.rows)) == ("interrupted", 7, 1)
    assert capsys.readouterr().out.endswith(
        f"stopped: the model keeps what it has learned; go on with --resume {folder}\n")
    again, result = evaluate_lenet5(**settings, observers=[Run.resume(folder)])
    assert (result.stopped, result.iteration, len(result.rows)) == ("n_epochs", 14, 3)
    whole, _ = evaluate_lenet5(**settings)
    assert (again.layer3.W.get_value() == whole.layer3.W.get_value()).all()


def test_a_signal_that_is_no_stop_button_ends_the_cell(notebook):
    with pytest.raises(Interrupted):
        roll(9, at_minibatch=lambda index: os.kill(os.getpid(), signal.SIGTERM))


def test_an_observer_that_stops_ends_the_cell(notebook):
    recorder = Recorder()
    recorder.wants_to_stop = lambda: True  # as lenet.training.channel expects
    with pytest.raises(Interrupted, match="interrupted; look at the record"):
        roll(9, observers=[recorder])


def test_a_second_press_ends_it_at_once(notebook):
    def press_twice(index):
        press_stop(1)
        press_stop(1)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted):
        roll(9, at_minibatch=press_twice)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_observer_of_signals_serves_twice():
    """Also where nobody closes it, as in docs/tutorial.md."""
    before, observer = signal.getsignal(signal.SIGINT), StopOnSignals()
    observer.training_begins(None, 1, None)
    press_stop(1)
    assert observer.wants_to_stop()
    observer.training_ends(None)
    assert signal.getsignal(signal.SIGINT) is before
    observer.training_begins(None, 1, None)
    assert not observer.wants_to_stop()
    observer.training_ends(None)
