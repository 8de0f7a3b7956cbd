"""Models kept on the way: whole or not there."""

from types import SimpleNamespace

import pytest
from torch import nn

from es_repro.record import Record, Tracker
from es_repro.storage.export import NO_EXPORTS, Exports


class Model(nn.Module):
    text = "first"

    def save_pretrained(self, folder, state_dict=None):
        assert state_dict is None  # nothing is sharded here
        (folder / "config.json").write_text(self.text)


def record(tmp_path):
    return Record(tmp_path / "run", {}, {}, {}, Tracker("none"))


def test_the_model_and_its_companions_are_kept_at_their_steps(tmp_path):
    model = Model()
    exports = Exports(
        [2, 4],
        record=record(tmp_path),
        model=model,
        companions=[lambda folder: (folder / "tokenizer.json").write_text("t")],
        max_steps=4,
    )
    for step in range(1, 5):
        exports.write(step)
    folders = sorted(x.name for x in (tmp_path / "run" / "exports").iterdir())
    assert folders == ["step-2", "step-4"]
    kept = tmp_path / "run" / "exports" / "step-2"
    assert sorted(x.name for x in kept.iterdir()) == ["config.json", "tokenizer.json"]

    model.text = "second"
    exports.write(4)  # once a step
    assert (kept.parent / "step-4" / "config.json").read_text() == "first"
    again = Exports([4], record=record(tmp_path), model=model)  # a resumed run comes by again
    again.write(4)
    assert (kept.parent / "step-4" / "config.json").read_text() == "second"
    assert len(list(kept.parent.iterdir())) == 2


def test_an_export_that_fails_leaves_nothing_under_its_name(tmp_path):
    def fail(folder):
        (folder / "half").write_text("half")
        raise OSError("no space left on device")

    broken = SimpleNamespace(save_pretrained=fail, state_dict=dict)
    exports = Exports([1], record=record(tmp_path), model=broken)
    with pytest.raises(OSError, match="no space"):
        exports.write(1)
    assert not (tmp_path / "run" / "exports" / "step-1").exists()
    Exports([1], record=record(tmp_path), model=Model()).write(1)
    assert [x.name for x in (tmp_path / "run" / "exports").iterdir()] == ["step-1"]
    assert not (tmp_path / "run" / "exports" / "step-1" / "half").exists()


def test_bad_steps_and_models_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"^keep_steps=9: must be at most max_steps=4$"):
        Exports([2, 9], record=record(tmp_path), model=Model(), max_steps=4)
    with pytest.raises(ValueError, match=r"^keep_steps=0: must be an integer >= 1$"):
        Exports([0], record=record(tmp_path), model=Model())
    with pytest.raises(ValueError, match=r"^keep_steps=\[1\]: must be null: this model has no"):
        Exports([1], record=record(tmp_path), model=nn.Linear(1, 1))
    NO_EXPORTS.write(1)
