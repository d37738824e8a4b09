"""The examples in the docstrings of the syllabus."""

import doctest

import pytest

from lenet import convolutional_mlp, mlp


@pytest.mark.parametrize("module", [convolutional_mlp, mlp])
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted and not result.failed
