"""lenet.predict.finding: files, folders and lists."""

import io
import sys

from lenet.predict.finding import find_images


def test_find_images(tmp_path, monkeypatch):
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/c.bmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folder = [str(tmp_path / name) for name in ("a.JPG", "b.png", "sub/c.bmp")]
    assert list(find_images([str(tmp_path)])) == folder
    assert list(find_images(["x.txt", str(tmp_path / "sub")])) == ["x.txt", folder[2]]
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"one.png\n\n{tmp_path}/sub\n"))
    assert list(find_images(["zero.png", "-"])) == ["zero.png", "one.png", folder[2]]
    (tmp_path / "empty").mkdir()
    empty = str(tmp_path / "empty")
    assert list(find_images([empty, "x.txt"])) == [empty, "x.txt"]
