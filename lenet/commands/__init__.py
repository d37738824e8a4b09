"""What all commands share: options, one-line errors, exit statuses, runs that go on."""

from lenet.commands.ending import (  # noqa: F401
    FAILED,
    WRONG_USAGE,
    fail,
    report_failures,
    run,
    run_training,
    warn,
)
from lenet.commands.options import Parser, parse_seed  # noqa: F401
from lenet.commands.training import (  # noqa: F401
    make_arguments,
    parse_training,
    take_timeout,
)
