"""FSDP2 inside transformers' Trainer: on two gloo ranks it trains as whole parameters do."""

from types import SimpleNamespace

import pytest
import torch
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from test_transformers import B, SelectingTrainer, make
from torch.distributed.tensor import DTensor

from tests.ranks import launch

# A whole state cannot be saved from CPUs: Accelerate hands safetensors what torch has not yet sent.
SHARDED_FILES = {"state_dict_type": "SHARDED_STATE_DICT"}
SHARDING = {
    "fsdp": True,
    "fsdp_config": {"transformer_layer_cls_to_wrap": ["Linear"]} | SHARDED_FILES,
}


def shard_on_cpus():
    """Let Accelerate shard on a CPU too, which it would otherwise silently leave undone."""
    initialise = AcceleratorState.__init__

    def patched(self, *args, fsdp_plugin=None, **kwargs):
        initialise(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None:
            self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin

    AcceleratorState.__init__ = patched


def whole(tensor):
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach()


def train(folder, method, given, resume=None, **more):
    shard_on_cpus()
    options = {"per_device_train_batch_size": B // 2, "gradient_accumulation_steps": 2}
    trainer = make(folder, method, **options | given | more)
    trainer.train(resume_from_checkpoint=resume)
    parameters = list(trainer.model.parameters())
    return {
        "trained": trainer.trained,
        "tables": trainer.selector._tables,
        "sharded": sum(isinstance(x, DTensor) for x in parameters) / len(parameters),
        "weights": torch.cat([whole(x).flatten() for x in parameters]),
        "rates": trainer.watch.rates,
    }


@pytest.mark.slow
@pytest.mark.parametrize("method", ["es", "ka"])
def test_sharded_parameters_train_as_whole_ones(tmp_path, method):
    ddp, _ = launch(train, tmp_path, tmp_path / "ddp", method, {})
    first, second = launch(train, tmp_path, tmp_path / "fsdp", method, SHARDING)

    assert (ddp["sharded"], first["sharded"], second["sharded"]) == (0, 1, 1)
    assert first["trained"] == ddp["trained"]
    assert first["rates"] == second["rates"] == ddp["rates"]
    for name, table in ddp["tables"].items():
        torch.testing.assert_close(first["tables"][name], table)
        assert first["tables"][name].equal(second["tables"][name])
    torch.testing.assert_close(first["weights"], ddp["weights"])
    assert first["weights"].equal(second["weights"])


def cut_and_resumed(folder, given):
    saving = {"save_strategy": "steps", "save_steps": 4}
    train(folder, "es", given, stop=4, **saving)
    return train(folder, "es", given, str(folder / "checkpoint-4"), **saving)


@pytest.mark.slow
def test_a_sharded_run_goes_on(tmp_path):
    uncut, _ = launch(train, tmp_path, tmp_path / "uncut", "es", SHARDING)
    resumed, _ = launch(cut_and_resumed, tmp_path, tmp_path / "cut", SHARDING)

    assert resumed["trained"] == uncut["trained"][-len(resumed["trained"]) :]
    assert resumed["weights"].equal(uncut["weights"])


def test_a_cpu_is_told_that_it_shards_nothing(tmp_path):
    answers = launch(unpatched, tmp_path, tmp_path / "out")
    told = "ValueError: fsdp=True: must be left out here: Accelerate shards nothing on a CPU"
    assert answers == [told, told]


def unpatched(folder):
    return make(folder, **SHARDING).train()


def test_other_ways_to_shard_are_refused(tmp_path, monkeypatch):
    class Deep(SelectingTrainer):
        def create_accelerator_and_postprocess(self):
            super().create_accelerator_and_postprocess()
            self.is_deepspeed_enabled = True

    class Old(SelectingTrainer):
        def create_accelerator_and_postprocess(self):
            super().create_accelerator_and_postprocess()
            plugin = SimpleNamespace(fsdp_version=1)
            monkeypatch.setitem(self.accelerator.state.__dict__, "fsdp_plugin", plugin)

    with pytest.raises(ValueError, match=r"^deepspeed=True: must be off: Distr"):
        make(tmp_path, cls=Deep)
    with pytest.raises(ValueError, match=r"^fsdp_config\['version'\]=1: must be 2"):
        make(tmp_path, cls=Old)
