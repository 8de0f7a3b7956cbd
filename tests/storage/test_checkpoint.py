"""Checkpoints are whole or absent, the last K are kept, damage costs one step back."""

import errno
import logging

import pytest
import torch

from es_repro.storage.checkpoint import CheckpointDamaged, Checkpoints


def state(step):
    return {"step": step, "tensor": torch.full((100,), float(step))}


def test_the_last_k_are_kept_and_the_newest_is_loaded(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 20, 3):  # by number, not by time of writing or by name
        checkpoints.save(state(step), step)

    assert [x.name for x in sorted(tmp_path.iterdir())] == [
        "step-000000003.pt", "step-000000020.pt",
    ]  # fmt: skip
    assert checkpoints.load_newest()[1]["step"] == 20


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "flipped"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path, caplog, damage):
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(state(1), 1)
    checkpoints.save(state(2), 2)
    newest = tmp_path / "step-000000002.pt"
    content = bytearray(newest.read_bytes())
    if damage == "flipped":
        middle = content.find(torch.full((4,), 2.0).numpy().tobytes())
        content[middle] ^= 0xFF
    newest.write_bytes(
        {
            "truncated": bytes(content[: len(content) // 2]),
            "empty": b"",
            "garbage": b"not a checkpoint" * 10,
            "flipped": bytes(content),
        }[damage]
    )

    with caplog.at_level(logging.WARNING):
        assert checkpoints.load_newest()[1]["step"] == 1
    assert "step-000000002.pt is damaged" in caplog.text


def test_when_none_can_be_read_the_error_says_what_to_do(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(state(1), 1)
    (tmp_path / "step-000000001.pt").write_bytes(b"x")

    with pytest.raises(CheckpointDamaged, match="resume=never"):
        checkpoints.load_newest()


def test_loading_executes_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("code in a checkpoint was executed",))

    torch.save({"step": Evil()}, tmp_path / "step-000000001.pt")
    with pytest.raises(CheckpointDamaged):
        Checkpoints(tmp_path, keep=1).load_newest()


def test_a_full_disk_leaves_the_former_checkpoint_and_no_draft(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(state(1), 1)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(state(2), 2)

    assert [x.name for x in tmp_path.iterdir()] == ["step-000000001.pt"]
    assert checkpoints.load_newest()[1]["step"] == 1


def test_no_checkpoint_at_all_is_no_error(tmp_path):
    assert Checkpoints(tmp_path / "none", keep=1).load_newest() is None


def test_keeping_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep_checkpoints=0: must be at least 1"):
        Checkpoints(tmp_path, keep=0)


def test_what_a_kill_left_of_a_write_goes_with_the_next(tmp_path):
    (tmp_path / ".step-000000001.pt.123.part").write_bytes(b"half")
    Checkpoints(tmp_path, keep=1).save(state(2), 2)

    assert [x.name for x in tmp_path.iterdir()] == ["step-000000002.pt"]
