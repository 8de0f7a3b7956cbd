"""Files are whole or absent, and an error says which of them could not be written."""

import errno
import os
import resource

import pytest

from es_repro.storage.files import append_line, write_json


@pytest.fixture
def full_disk(monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)


def test_a_full_disk_names_the_file_and_leaves_the_former_one(tmp_path, full_disk):
    path = tmp_path / "summary.json"
    path.write_text("before")
    with pytest.raises(OSError, match=r"No space left on device: '.*summary\.json'") as caught:
        write_json(path, {"a": 1})

    assert caught.value.errno == errno.ENOSPC
    assert [x.name for x in tmp_path.iterdir()] == ["summary.json"]
    assert path.read_text() == "before"


@pytest.mark.parametrize("room", [0, 5])
def test_a_line_that_does_not_fit_is_an_error_that_names_its_file(tmp_path, room):
    path = tmp_path / "history.jsonl"
    append_line(path, {"a": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, hard))
    try:
        with pytest.raises(OSError, match=r"history\.jsonl'$"):
            append_line(path, {"b": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    append_line(path, {"c": 3})
    assert path.read_text().splitlines()[0] == '{"a": 1}'
    assert path.read_text().splitlines()[-1] == '{"c": 3}'
