"""What it costs to keep a training on disk, to go on with it, to train in chunks, to predict."""

import contextlib
import json
import os
import statistics
import sys
import tempfile
import time

import numpy
import theano.tensor as T

from benchmarking.start import in_a_process
from lenet.convolutional_mlp import LeNet5, evaluate_lenet5
from lenet.data import array_folder, load_data, open_arrays
from lenet.errors import Interrupted
from lenet.pictures import image_export
from lenet.saved.predict import Predictor, find_images
from lenet.saved.run import Run
from lenet.training.functions import compile_functions

N_EPOCHS, ROUNDS, CHUNK_MB = 5, 5, 64


def run(say=lambda line: None):
    """Measure everything, each part in a process of its own, with LeNet-5 on MNIST.

    Parameters
    ----------
    say : function of a str
        Is told what is measured next.

    Returns
    -------
    dict
        ``saving_percent``: the share of the training time that saving takes with --output;
        ``fresh_start_s``, ``resumed_start_s``: seconds from the command to the end of the first
        minibatch with --output and with --resume, medians of 3; ``chunks_ratio``: the time of an
        epoch with chunks of 64 MB over that in one piece, as [median, least, greatest];
        ``images_a_second``, ``images_a_second_no_center``: what ``Predictor.classify`` takes of
        10,000 PNGs, reading included.
    """
    result, starts = {}, {"fresh": [], "resumed": []}
    with tempfile.TemporaryDirectory() as folder:
        kept = os.path.join(folder, "run")

        def measured(call, **environment):
            return json.loads(in_a_process(call, module="keeping", **environment).splitlines()[-1])

        say("saving, %d epochs of training" % N_EPOCHS)
        result["saving_percent"] = measured("saving(%r)" % kept)
        say("fresh and resumed starts")
        for number in range(3):
            fresh = os.path.join(folder, str(number))
            for name, path in (("fresh", fresh), ("resumed", kept)):
                starts[name].append(measured("first_minibatch(%r, %r)" % (path, time.time())))
        for name, seconds in starts.items():
            result[name + "_start_s"] = statistics.median(seconds)
        say("chunks, %d times an epoch of each" % ROUNDS)
        result["chunks_ratio"] = measured("chunks(%r)" % os.path.join(folder, "arrays"))
        say("predictions for 10,000 images")
        images = os.path.join(folder, "images")
        image_export.export("mnist.pkl.gz", images)
        for name, center in (("images_a_second", True), ("images_a_second_no_center", False)):
            result[name] = measured("predictions(%r, %r, %r)"
                                    % (kept, os.path.join(images, "test"), center),
                                    OMP_NUM_THREADS="1")  # as scripts/predict.py sets it
    return result


def saving(folder):
    """Percent of the training time that goes into saving."""
    kept = Run.create(folder, {})
    with contextlib.redirect_stdout(sys.stderr):
        evaluate_lenet5(n_epochs=N_EPOCHS, run=kept)
    return 100 * kept.saving_seconds / kept.rows[-1]["seconds"]


def first_minibatch(folder, begun_at):
    """Seconds since ``begun_at`` when the first minibatch of a new or a resumed run is done."""
    kept = Run.resume(folder) if os.path.exists(folder) else Run.create(folder, {})
    ends = []
    kept.minibatch_ends = lambda result: ends.append(time.time())
    kept.wants_to_stop = lambda: True
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(Interrupted):
        evaluate_lenet5(n_epochs=10 * N_EPOCHS, run=kept)
    return ends[0] - begun_at


def chunks(folder):
    """The time of an epoch in chunks over that in one piece: median, least, greatest."""
    write_arrays(open_arrays(), folder)
    epochs = []
    for chunk_mb in (None, CHUNK_MB):
        x, y = T.matrix("x"), T.ivector("y")
        model = LeNet5(numpy.random.RandomState(23455), x)
        functions = compile_functions(model, x, y, load_data(folder, chunk_mb), 0.1, 500)
        epochs.append(lambda train=functions.train_minibatch, n=functions.n_train_batches:
                      [train(i) for i in range(n)])
    times = [[], []]
    for _ in range(ROUNDS + 1):
        for epoch, seconds in zip(epochs, times):
            begin = time.perf_counter()
            epoch()
            seconds.append(time.perf_counter() - begin)
    ratios = [chunked / whole for whole, chunked in list(zip(*times))[1:]]
    return [statistics.median(ratios), min(ratios), max(ratios)]


def write_arrays(datasets, folder):
    """Write a dataset as a folder of arrays."""
    os.makedirs(folder)
    for part, (x, y) in zip(array_folder.PARTS, datasets):
        images = image_export.as_bytes(x, part)
        numpy.save(os.path.join(folder, part + "_x.npy"),
                   images.reshape((-1,) + tuple(datasets.image_shape)))
        numpy.save(os.path.join(folder, part + "_y.npy"), y)
    array_folder.write_description(folder, datasets.image_shape, datasets.class_names,
                                   datasets.preparation)


def predictions(model, folder, center):
    """Images a second, from the first file that is opened to the last prediction."""
    predictor = Predictor(model)
    paths = list(find_images([folder]))
    predictor.probabilities(numpy.zeros((1,) + predictor.image_shape))
    begin = time.perf_counter()
    n = sum(prediction.error is None for prediction in predictor.classify(paths, center))
    return n / (time.perf_counter() - begin)


def table(result):
    """Lines of text."""
    return [
        "saving, of the training time            %6.2f %%" % result["saving_percent"],
        "start with --output                     %6.1f s" % result["fresh_start_s"],
        "start with --resume                     %6.1f s" % result["resumed_start_s"],
        "an epoch in chunks, over one in a piece %6.2f (%.2f to %.2f)"
        % tuple(result["chunks_ratio"]),
        "predictions, digits centred             %6.0f images a second" % result["images_a_second"],
        "predictions, --no-center                %6.0f images a second"
        % result["images_a_second_no_center"],
    ]
