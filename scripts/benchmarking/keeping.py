"""What it costs to keep a training on disk, to resume it, to train in chunks, to predict.

LeNet-5 on MNIST, each part in a process of its own.
"""
import contextlib
import functools
import os
import statistics
import tempfile
import time

import numpy

from benchmarking.lenet_peer import Peer
from benchmarking.worker import Process, ratio, say, take_turns
from lenet.convolutional_mlp import evaluate_lenet5
from lenet.data import ChunkedDataset, load_data
from lenet.errors import Interrupted
from lenet.images import image_export, image_folder
from lenet.predict import Predictor
from lenet.predict.finding import find_images
from lenet.runs.run import Run

N_EPOCHS, ROUNDS, CHUNK_MB = 5, 5, 64

LINES = {
    "saving_percent": "saving, of the training time            {saving_percent:6.2f} %",
    "fresh_start_s": "start with --output                     {fresh_start_s:6.1f} s",
    "resumed_start_s": "start with --resume                     {resumed_start_s:6.1f} s",
    "chunks_ratio": "an epoch in chunks, over one in a piece {chunks_ratio[0]:6.2f} "
                    "({chunks_ratio[1]:.2f} to {chunks_ratio[2]:.2f})",
    "images_a_second":
        "predictions, digits centred             {images_a_second:6.0f} images a second",
    "images_a_second_no_center":
        "predictions, --no-center                {images_a_second_no_center:6.0f} images a second",
}


def run():
    """{name: figure}, as in ``LINES``."""
    with tempfile.TemporaryDirectory() as folder:
        kept, images, arrays = (os.path.join(folder, name) for name in ("run", "images", "arrays"))
        say(f"measuring: saving, {N_EPOCHS} epochs of training")
        result = {"saving_percent": measure(f"measure_saving({kept!r})")}
        say("measuring: fresh and resumed starts")
        starts = [[measure(f"time_first_minibatch({path!r}, {time.time()})")
                   for path in (os.path.join(folder, fresh), kept)] for fresh in "123"]
        result["fresh_start_s"], result["resumed_start_s"] = map(statistics.median, zip(*starts))
        say(f"measuring: chunks, {ROUNDS} times an epoch of each")
        image_export.export("mnist.pkl.gz", images)
        train, valid, test = (os.path.join(images, part) for part in ("train", "valid", "test"))
        image_folder.build(train, arrays, validation=valid, test=test)
        result["chunks_ratio"] = measure(f"compare_chunks({arrays!r})")
        say("measuring: predictions for 10,000 images")
        for name, center in (("images_a_second", True), ("images_a_second_no_center", False)):
            # One thread, as scripts/predict.py.
            result[name] = measure(f"time_predictions({kept!r}, {test!r}, {center})",
                                   OMP_NUM_THREADS="1")
    return result


def measure(expression, **environment):
    """What one of the functions below returns in a new process."""
    with Process("keeping", "keeping", **environment) as process:
        return process.ask(expression)


def measure_saving(folder):
    """Percent of the training time that goes into saving."""
    kept = Run.create(folder, {})
    evaluate_lenet5(n_epochs=N_EPOCHS, observers=[kept])
    return 100 * kept.total_save_seconds / kept.rows[-1]["seconds"]


def time_first_minibatch(folder, begun_at):
    """Seconds since ``begun_at`` when the first minibatch of a new or a resumed run is done."""
    kept = Run.resume(folder) if os.path.exists(folder) else Run.create(folder, {})
    ends = []
    kept.minibatch_ends = lambda result: ends.append(time.time())
    kept.wants_to_stop = lambda: True
    with contextlib.suppress(Interrupted):
        evaluate_lenet5(n_epochs=10 * N_EPOCHS, observers=[kept])
    return ends[0] - begun_at


def compare_chunks(folder):
    """The time of an epoch in chunks over that in one piece: median, least, greatest."""
    def epoch(peer):
        begin = time.perf_counter()
        for i in range(peer.functions.n_train_batches):
            peer.train(i)
        return [time.perf_counter() - begin]

    whole, chunked = (functools.partial(epoch, Peer(500, datasets=load_data(dataset)))
                      for dataset in (folder, ChunkedDataset(folder, CHUNK_MB)))
    times = take_turns({"whole": whole, "chunked": chunked}, ROUNDS + 1)
    return ratio(times["chunked"][1:], times["whole"][1:])


def time_predictions(model, folder, center):
    """Images per second, from the first file that is opened to the last prediction."""
    predictor = Predictor(model)
    paths = list(find_images([folder]))
    predictor.probabilities(numpy.zeros((1,) + predictor.image_shape))
    begin = time.perf_counter()
    n = sum(prediction.error is None for prediction in predictor.classify(paths, center))
    return n / (time.perf_counter() - begin)
