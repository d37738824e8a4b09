"""The command line of a training: options that are new, or those of a run that goes on.

What an option means for the function that trains is defined here, in one place: options that are
not its arguments become a source of the data, an optimiser, the cost, or observers.
"""

import argparse
import json

from lenet.commands.recipe import RecipeHint, apply_recipe, describe_settings
from lenet.data import ChunkedDataset, ShuffledDataset, StandardizedDataset, open_arrays
from lenet.data.loading import split_as
from lenet.errors import DataError, UsageError
from lenet.installed import option_name
from lenet.parallel import ranks
from lenet.runs.run import Run, read_state
from lenet.training.advice import Advice
from lenet.training.keep_last import KeepLast

MNIST = "mnist.pkl.gz"

# Options that may change when a run is resumed, besides the number of epochs.
MAY_DIFFER = ("dataset", "chunk_mb")


def parse_training(parser):
    """Parse the command line of a training.

    Parameters
    ----------
    parser : lenet.commands.Parser
        With the options of ``add_run``.

    Returns
    -------
    dict
        The arguments of the function that trains, by name; among them the observers, of which only
        rank 0 has a ``lenet.runs.run.Run``.
    """
    world = ranks.get_world()
    run = told = None
    if world.rank == 0:
        options, run, is_resumed, pixels = parse_alone(parser)
        told = options, is_resumed, pixels, world.timeout
    options, is_resumed, pixels, world.timeout = world.share(told)
    arguments = make_arguments(options, run, is_resumed, pixels, world)
    if options["dataset"] != MNIST and world.rank == 0:
        arguments["observers"].append(make_advice(parser, options, run))
    return arguments


def parse_alone(parser):
    """The options by name, the Run or None, whether it is one that goes on, and the Pixels of the
    network that --from names or None; as parsed in one process, or in rank 0."""
    options = take_timeout(vars(parser.parse_args()))
    output, folder = options.pop("output"), options.pop("resume")
    run, source, pixels = None, options.get("from"), None
    if folder is not None:
        run = Run.resume(folder)
        options = resume_options(parser, run, options)
        if options.get("from") is not None:
            pixels = run.earlier_state[1].pixels
    else:
        if source is not None:
            state = read_state(source)
            options = take_network(parser, source, state.settings, options)
            pixels = state.network.pixels
        elif options.get("fine_tune"):
            raise UsageError("--fine-tune trains the layers of another run; name it with --from")
        if options.get("own_images"):
            fixed = find_typed(parser).union(() if source is None else parser.of_network)
            if options["shards"] != 1 or ranks.get_world().size > 1:
                fixed.add("shuffle")  # a process has its own part of each minibatch
            options = apply_recipe(options, fixed)
            print("... as with", describe_settings(options), flush=True)
        if output is not None:
            run = Run.create(output, {})
    if run is not None:
        run.settings = dict(options, command=parser.prog)
    return options, run, folder is not None, pixels


def find_typed(parser):
    """The names of the options that were typed, whatever their values."""
    untyped = object()
    names = vars(parser.parse_args())
    parsed = vars(parser.parse_args(namespace=argparse.Namespace(**dict.fromkeys(names, untyped))))
    return {name for name, value in parsed.items() if value is not untyped}


def take_timeout(options):
    """Take --timeout out of the options, and set it for this training."""
    timeout = options.pop("timeout")
    if not timeout > 0:
        raise UsageError(f"--timeout {timeout}; expected a positive number of seconds")
    ranks.get_world().timeout = timeout
    return options


def resume_options(parser, run, options):
    """The options of a run that is resumed; of those typed, only some may differ."""
    begun_with = dict(run.settings)
    command = begun_with.pop("command", None)
    begun_with.pop("compare", None)  # an earlier switch of lenet5_1998.py, off in every run
    for name in options:  # one that is newer than the run had its default, as JSON has it
        begun_with.setdefault(name, json.loads(json.dumps(parser.get_default(name))))
    if command != parser.prog:
        raise UsageError(f"{run.folder}: a run of {command}; go on with that command")
    for name, value in begun_with.items():
        if name not in options:
            raise DataError(f"{run.folder}: begun with the option {name} = {value!r:.40}, "
                            f"which {parser.prog} does not have; begin another run with --output")
    options = parse_with_defaults(parser, begun_with, run.folder, "begin another run with --output",
                                  may_differ=(*MAY_DIFFER, parser.epochs))
    if parser.epochs in begun_with and options[parser.epochs] < run.epochs_done:
        raise UsageError(f"{option_name(parser.epochs)} {options[parser.epochs]}, but {run.folder} "
                         f"has been trained for {run.epochs_done} epochs; name more, or begin "
                         "another run with --output")
    return {name: options[name] for name in begun_with}


def take_network(parser, folder, settings, options):
    """The options, those of the network as another run has them."""
    if settings.get("command") != parser.prog:
        raise UsageError(f"{folder}: a run of {settings.get('command')}; expected one of "
                         f"{parser.prog}")
    kept = {name: settings[name] for name in parser.of_network if name in settings}
    parsed = parse_with_defaults(parser, kept, folder, "train without --from")
    return {name: parsed[name] for name in options}


def parse_with_defaults(parser, defaults, folder, otherwise, may_differ=()):
    """Parse with the options of a run as defaults, from which typed ones must not differ."""
    parser.set_defaults(**defaults)
    options = vars(parser.parse_args())
    for name, value in defaults.items():
        if options[name] != value and name not in may_differ:
            raise UsageError(f"{option_name(name)} {options[name]}, but {folder} was begun with "
                             f"{value}; leave the option out, or {otherwise}")
    return options


def make_arguments(options, run=None, is_resumed=False, pixels=None, world=None):
    """The arguments of the function that trains, made of the options of its command.

    Parameters
    ----------
    options : dict
        By name, such as {"momentum": 0.9}.
    run : lenet.runs.run.Run, optional
        Saves the training.
    is_resumed : bool
        Whether the run has its parameters already.
    pixels : lenet.data.pixels.Pixels, optional
        Of the network whose layers --from takes.
    world : lenet.parallel.ranks.SingleProcess or Ranks, optional
        The processes that train; by default this one.
    """
    world = world or ranks.get_world()
    arguments, observers = dict(options), []
    source, fine_tune = arguments.pop("from", None), arguments.pop("fine_tune", False)
    if source is not None:
        from lenet.networks.transfer import Transfer

        observers.append(Transfer(None if is_resumed else source, fine_tune))
    if run is not None:
        observers.append(run)
    if world.size > 1:
        from lenet.parallel.together import RankCoordinator

        observers.append(RankCoordinator(world))

    arguments["dataset"] = split_as(arguments)
    for name in ("validation_fraction", "test_fraction"):
        arguments.pop(name, None)
    if "momentum" in arguments:  # and the others of Parser.add_hidden
        make_rate(arguments, observers)
        make_functions(arguments)
    if arguments.pop("keep_last", False):
        observers.append(KeepLast())
    if arguments.pop("own_images", None) is False:
        observers.append(RecipeHint(arguments["batch_size"]))
    make_dataset(arguments, observers, pixels, world)
    return dict(arguments, observers=observers)


def make_advice(parser, options, run):
    """The Advice for a training on images of one's own."""
    epochs = parser.epochs or "n_epochs"
    more_epochs = f"{option_name(epochs)} {2 * options[epochs]}"
    if parser.epochs is not None:  # a run may be made longer
        more_epochs = (f"--resume {run.folder} {more_epochs}" if run is not None
                       else f"{more_epochs}, and --output RUN, with which --resume RUN goes on")
    rate = option_name("eta" if "eta" in options else "learning_rate")
    other_settings = f"try another {rate}, or more epochs"
    if options.get("own_images") is False:
        other_settings += ", or --own-images"
    return Advice(more_epochs, other_settings)


def make_dataset(arguments, observers, pixels, world):
    """Put what loads the dataset in the place of its name."""
    chunk_mb, shards = arguments.pop("chunk_mb", None), arguments.pop("shards", 1)
    is_shuffled = arguments.pop("shuffle", False)
    is_standardized = arguments.pop("standardize", False)
    if pixels is not None:
        from lenet.networks.transfer import TransferDataset

        arguments["dataset"] = TransferDataset(arguments["dataset"], pixels)
    elif is_standardized:
        arguments["dataset"] = StandardizedDataset(arguments["dataset"])
    if chunk_mb is not None:
        arguments["dataset"] = ChunkedDataset(arguments["dataset"], chunk_mb)
    if is_shuffled:
        if shards != 1 or world.size > 1:
            raise UsageError("--shuffle in shards: a process holds its own part of each minibatch; "
                             "leave one of the two out")
        from lenet.training.shuffle import EpochShuffle

        arguments["dataset"] = ShuffledDataset(arguments["dataset"])
        observers.append(EpochShuffle(arguments.get("seed", 0)))
    if shards != 1 or world.size > 1:
        from lenet.parallel.shards import ShardedDataset, split_minibatches

        batch_size = arguments.get("batch_size", arguments.get("mini_batch_size"))
        arguments["dataset"] = ShardedDataset(
            arguments["dataset"], split_minibatches(shards, batch_size, world), world)


def make_rate(arguments, observers):
    """Put the falling rate and the optimiser in the place of the learning rate."""
    from lenet.training.updates import FallingRate, Momentum

    momentum, decay, warmup = (arguments.pop(name) for name in
                               ("momentum", "learning_rate_decay", "warmup"))
    # Both are made in any case: they check their arguments.
    falling = FallingRate(arguments["learning_rate"], decay, warmup)
    if decay != 1 or warmup:
        observers.insert(0, falling)
        arguments["learning_rate"] = falling.rate
    optimiser = Momentum(arguments["learning_rate"], momentum)
    if momentum:
        arguments["learning_rate"] = optimiser


def make_functions(arguments):
    """Put functions and classes in the place of their names, and a cost in that of its options."""
    from lenet import networks
    from lenet.pooling import POOLINGS, draw_windows
    from lenet.training.class_weights import balance_classes, weigh_likelihood
    from lenet.training.noise import apply_dropout, check_dropout

    p_dropout, pooling = arguments.pop("dropout"), arguments.pop("pooling", None)
    check_dropout(p_dropout)
    weights = None
    if arguments.pop("class_weights", None) == "balanced":
        stored = open_arrays(arguments["dataset"])
        weights = balance_classes(stored[0][1], len(stored.class_names))

    def make_cost(model, y, rng):
        cost = (model.negative_log_likelihood(y) if weights is None
                else weigh_likelihood(model, y, weights))
        layers = networks.layers_of(model)
        if p_dropout:
            *_, hidden, _ = layers.values()
            cost = apply_dropout(cost, hidden.output, p_dropout, rng)
        if pooling == "stochastic":
            cost = draw_windows(cost, [layers["layer0"], layers["layer1"]], rng)
        return cost

    arguments["training_cost"] = make_cost
    arguments["activation"] = networks.ACTIVATIONS[arguments["activation"]]
    if pooling is not None:
        arguments["conv_pool_layer"] = POOLINGS[pooling]
