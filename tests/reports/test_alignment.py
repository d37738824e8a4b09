"""lenet.reports.alignment: tables as text."""

from lenet.reports.alignment import align_columns, text_width


def test_words_on_the_left_and_numbers_on_the_right():
    rows = [("layer", "kind", "units"), ("a", "pooling", "7"), ("", "", "")]
    assert align_columns(rows, n_left=2) == ["layer  kind     units", "a      pooling      7", ""]


def test_columns_of_chinese():
    assert text_width("猫ab") == 4
    assert align_columns([("猫", "1"), ("dog", "10")]) == ["猫    1", "dog  10"]
