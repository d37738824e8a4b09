"""lenet.data.files: the old file or the new one, and what is no file."""

import os
import sys
import threading

import pytest

from lenet.data.files import write_beside
from lenet.errors import DataError


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_write_beside_keeps_the_old_file_when_the_disk_is_full(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(DataError, match="No space left"):
        with write_beside(str(path)) as file:
            file.write(b"new")
            os.dup2(os.open("/dev/full", os.O_WRONLY), file.fileno())
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    with write_beside(str(path)) as file:
        file.write(b"new")
    assert path.read_text() == "new"


def test_write_beside_follows_a_link(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    with write_beside(str(tmp_path / "link")) as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"


def test_write_beside_writes_into_a_pipe(tmp_path):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    found = []

    def read():
        with open(path, "rb") as pipe:
            found.append(pipe.read())

    reader = threading.Thread(target=read)
    reader.start()
    with write_beside(path) as file:
        file.write(b"new")
    reader.join()
    assert found == [b"new"] and os.listdir(str(tmp_path)) == ["pipe"]


def test_a_reader_of_what_is_printed_meanwhile_is_not_the_files_fault(tmp_path):
    with pytest.raises(BrokenPipeError):
        with write_beside(str(tmp_path / "file")):
            raise BrokenPipeError
    assert os.listdir(str(tmp_path)) == []
