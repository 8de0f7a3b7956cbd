"""On real files, written by wandb itself in offline mode."""

import struct
import time
import zlib

import pytest
import wandb

from es_repro.report.wandb_offline import read_file, read_folder

BLOCK = 32 * 1024


def log_run(folder, run_id, epochs, *, summary=None, exit_code=0, padding=0):
    settings = wandb.Settings(
        silent=True, console="off", disable_git=True, disable_code=True, x_disable_meta=True,
        x_disable_stats=True, x_save_requirements=False,
    )  # fmt: skip
    run = wandb.init(
        mode="offline", dir=folder, id=run_id, project="p", group="demo-digits",
        reinit="create_new", tags=["demo/digits", "es"],
        config={"seed": 0, "method": {"betas": [0.2, 0.9]}},
        settings=settings,
    )  # fmt: skip
    for epoch in epochs:
        run.log({"kind": "epoch", "step": 10 * epoch, "epoch": epoch, "x/text": "x" * padding})
    run.config.update({"environment": {"device": "cpu"}}, allow_val_change=True)
    run.summary.update(summary or {})
    run.finish(exit_code=exit_code)
    path = next(folder.rglob(f"run-{run_id}.wandb"))
    for _ in range(100):  # wandb's service may still be writing when `finish` returns
        written = read_file(path)
        if written is not None and written.exit_code is not None:
            return path
        time.sleep(0.1)
    raise TimeoutError(f"{path} was not completed within 10 seconds")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    summary = {"status": "finished", "test/accuracy": 0.9}
    return log_run(tmp_path_factory.mktemp("small"), "aa-0", range(3), summary=summary)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Records of 50 kB: each spans blocks."""
    return log_run(tmp_path_factory.mktemp("large"), "bb-0", range(4), padding=50_000)


def test_a_real_file_is_read_whole(small, caplog):
    run = read_file(small)
    assert (run.run_id, run.project, run.group) == ("aa-0", "p", "demo-digits")
    assert run.tags == ["demo/digits", "es"]
    assert run.config == {
        "seed": 0, "method": {"betas": [0.2, 0.9]}, "environment": {"device": "cpu"},
    }  # fmt: skip
    assert run.summary["test/accuracy"] == 0.9
    assert run.summary["status"] == "finished"
    assert [(row["kind"], row["step"]) for row in run.history] == [
        ("epoch", 0), ("epoch", 10), ("epoch", 20),
    ]  # fmt: skip
    assert run.exit_code == 0
    assert not caplog.text


def test_records_longer_than_a_block_are_put_together(large):
    assert [len(row["x/text"]) for row in read_file(large).history] == [50_000] * 4


@pytest.mark.parametrize(("share", "rows"), [(0.3, 1), (0.45, 1), (0.7, 2), (0.95, 3)])
def test_a_torn_file_keeps_its_start_and_is_named(large, tmp_path, caplog, share, rows):
    whole = large.read_bytes()
    torn = tmp_path / "run-bb-0.wandb"
    torn.write_bytes(whole[: int(share * len(whole))])
    run = read_file(torn)
    assert run.run_id == "bb-0"
    assert len(run.history) == rows
    assert str(torn) in caplog.text
    assert run.exit_code is None


def test_a_flipped_byte_costs_one_record(large, tmp_path, caplog):
    content = bytearray(large.read_bytes())
    content[2 * BLOCK + 100] ^= 0xFF  # inside the first history record
    damaged = tmp_path / "run-bb-0.wandb"
    damaged.write_bytes(content)
    run = read_file(damaged)
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    assert f"{damaged} is damaged: " in caplog.text
    assert "bad checksum" in caplog.text


def test_a_wrong_length_is_survived_at_the_next_block(large, tmp_path):
    content = bytearray(large.read_bytes())
    struct.pack_into("<H", content, 2 * BLOCK + 4, 60_000)
    damaged = tmp_path / "run-bb-0.wandb"
    damaged.write_bytes(content)
    assert read_file(damaged).history[-1]["epoch"] == 3


@pytest.mark.parametrize("content", [b"", b":W&", b"not a W&B file at all", b":W&B\xe1\xbe\x00"])
def test_a_file_without_a_run_is_warned_of(tmp_path, caplog, content):
    path = tmp_path / "run-cc-0.wandb"
    path.write_bytes(content)
    assert read_file(path) is None
    assert str(path) in caplog.text
    assert read_folder(tmp_path) == []


def test_a_piece_with_a_good_checksum_that_is_no_record_is_survived(tmp_path, small, caplog):
    data = b"\xff\xff\xff"
    piece = struct.pack("<IHB", zlib.crc32(data, zlib.crc32(b"\x01")), len(data), 1) + data
    path = tmp_path / "run-aa-0.wandb"
    path.write_bytes(small.read_bytes() + piece)
    assert read_file(path).summary["status"] == "finished"
    assert "does not parse" in caplog.text


def test_folders_of_the_same_run_are_merged_oldest_first(tmp_path):
    log_run(tmp_path / "b", "dd-0", range(2), exit_code=1)
    log_run(tmp_path / "a", "dd-0", range(2, 4), summary={"status": "finished"})
    log_run(tmp_path / "a", "ee-0", range(1))
    runs = {run.run_id: run for run in read_folder(tmp_path)}
    assert [row["epoch"] for row in runs["dd-0"].history] == [0, 1, 2, 3]
    assert runs["dd-0"].exit_code == 0
    assert runs["dd-0"].summary["status"] == "finished"
    assert list(runs) == ["dd-0", "ee-0"]
