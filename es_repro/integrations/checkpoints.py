"""The checkpoint folders of transformers' Trainer, which a kill may leave half written."""

import json
import re
from pathlib import Path
from typing import Any

import torch

__all__ = ["last_whole", "selection_file", "write_selection"]

STATE = "trainer_state.json"  # the last file that the Trainer's first process writes


def selection_file(folder: str | Path, rank: int) -> Path:
    """Where the selector of a rank lies in a checkpoint."""
    return Path(folder, f"selection_{rank}.pt")


def write_selection(state: dict[str, Any], file: Path) -> None:
    """Write a rank's selector: the file is whole or not there."""
    unfinished = file.with_suffix(".tmp")
    torch.save(state, unfinished)
    unfinished.replace(file)


def last_whole(output_dir: str | Path, world_size: int) -> str:
    """The last checkpoint that was written to its end, on all ranks.

    Raises:
        ValueError: there is none.
    """
    numbered = {
        int(found[1]): folder
        for folder in Path(output_dir).glob("checkpoint-*")
        if (found := re.fullmatch(r"checkpoint-(\d+)", folder.name))
    }
    for _, folder in sorted(numbered.items(), reverse=True):
        if _is_whole(folder, world_size):
            return str(folder)
    raise ValueError(
        f"resume_from_checkpoint=True: must find a whole checkpoint of selection in {output_dir}, "
        f"of {world_size} processes; of its {len(numbered)} checkpoints none is"
    )


def _is_whole(folder: Path, world_size: int) -> bool:
    try:
        json.loads((folder / STATE).read_text())
    except (OSError, ValueError):
        return False
    return all(selection_file(folder, rank).is_file() for rank in range(world_size))
