"""docs/teaching.md: its commands print what it shows, and the answers are in that."""

import itertools
import math
import os
import re

import numpy
import pytest
from conftest import REPOSITORY

with open(os.path.join(REPOSITORY, "docs", "teaching.md"), encoding="utf-8") as file:
    PAGE = file.read()

# (question and answer, command, what it prints) of each exercise
EXERCISES = re.findall(r"^### \d+\. (.*?)^```\n\$ python scripts/(.*?)\n(.*?)^```$", PAGE,
                       re.MULTILINE | re.DOTALL)
# The others train, or need a run.
CHEAP = [(command, shown) for _, command, shown in EXERCISES
         if command.startswith(("lesson_", "summary.py"))]


def test_the_answers():
    pixels, w = numpy.array([2, 0, 1, 3, 2]), numpy.array([1, -1, 2])
    patches = numpy.array([pixels[place:place + 3] for place in range(3)])
    field = 5 + 1 + 4 * 2 + 2
    shifts = [sum(0 <= row + down < 3 and 0 <= column + right < 3
                  for down, right in itertools.product((-1, 0, 1), repeat=2)) - 1
              for row, column in itertools.product(range(3), repeat=2)]
    n_learned = 6 * (25 + 1) + 16 * (6 * 25 + 1) + 120 * (16 * 4 * 4 + 1) + 10 * (120 + 1)
    expected = [f"{field} x {field}", str((patches @ w) @ patches + 0.0), str(math.comb(8, 4)),
                f"{sum(shifts) / 9:.2f}", f"{n_learned:,}", f"{50 * 8 * 8 * 20 * 25:,}",
                str(50000 // 100), None, f"{0.5 * 2.2:.4f}"]
    answers = [re.search(r"\*\*(.+?)\*\*", text).group(1) for text, _, _ in EXERCISES]
    assert len(answers) == len(expected) == PAGE.count("<summary>Answer</summary>")
    assert [answer for answer, wanted in zip(answers, expected) if wanted not in (answer, None)] \
        == []
    assert all(answer in shown for answer, (_, _, shown) in zip(answers, EXERCISES))


@pytest.mark.parametrize("command, shown", CHEAP)
def test_a_command_prints_what_is_shown(command, shown, script):
    printed = iter(script(*command.split()).stdout.splitlines())
    assert [line for line in shown.splitlines() if line not in printed] == []  # in this order
