"""Selection inside Lightning: a data module whose `loss` a training step returns.

    class Net(LightningModule):
        def training_step(self, batch, batch_idx):
            return self.trainer.datamodule.loss(batch)

    data = SelectionData(create("es", len(train), epochs, device=device), losses_of, train, 128,
                         schedule=warmup_cosine(0.1))
    trainer = Trainer(max_epochs=epochs, reload_dataloaders_every_n_epochs=1,
                      use_distributed_sampler=False)
    trainer.fit(net, datamodule=data)

Lightning takes an epoch's length from its loader alone when it asks for it, hence the reloading: an
epoch longer than the first would otherwise be cut.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from es_repro.selection import Indexed, ProgressScheduler, Selection, Selector, require
from es_repro.selection.batches import Collate, IndexedBatch
from es_repro.selection.foreign import as_selector
from es_repro.selection.loop import LossesOf, require_raising

try:
    from lightning.pytorch import LightningDataModule, Trainer
except ModuleNotFoundError as error:
    extra = "this module needs the extra 'lightning': pip install 'es-repro[lightning]'"
    raise ModuleNotFoundError(f"{error}; {extra}", name=error.name) from error

__all__ = ["SelectionData"]


class SelectionData(LightningDataModule):
    """The training data of a selector's run; subclass it to add other loaders.

    Args:
        selector: the method, of as many epochs as the trainer's ``max_epochs``.
        losses_of: ``losses_of(module, data)`` answers the losses [m] of what ``collate_fn`` made,
            or the losses and the signals [m, ...] by name which the selector asks for.
        dataset: map-style, of `selector.num_samples` samples.
        meta_batch_size: B over all ranks.
        schedule: progress in [0, 1] -> factor of each group's learning rate, such as
            `warmup_cosine`; None leaves the rates to the module.
        collate_fn: torch's default where None.
        seed: of the order of the batches; None: the selector's.
        drop_last: leave out a short last meta-batch.
        check_rows: see once, on the first batch, that a row's loss is its own.
        **loader_options: DataLoader's others.

    Raises:
        ValueError: a value that does not fit; the message names it.
    """

    def __init__(
        self,
        selector: Selector,
        losses_of: LossesOf,
        dataset: Any,  # noqa: ANN401 - anything with items and a length
        meta_batch_size: int,
        *,
        schedule: Callable[[float], float] | None = None,
        collate_fn: Collate | None = None,
        seed: int | None = None,
        drop_last: bool = False,
        check_rows: bool = True,
        **loader_options: Any,  # noqa: ANN401 - passed on to DataLoader
    ) -> None:
        super().__init__()
        selector = as_selector(selector)
        n = len(Indexed(dataset))
        allowed = f"{n}, the length of the data set"
        require(selector.num_samples == n, "num_samples", selector.num_samples, allowed)
        require_raising(selector)
        self.selector, self.schedule = selector, schedule
        self._losses_of, self._dataset, self._meta_batch_size = losses_of, dataset, meta_batch_size
        self._options = loader_options | {
            "collate_fn": collate_fn,
            "seed": seed,
            "drop_last": drop_last,
            "check_rows": check_rows,
        }
        self._selection: Selection | None = None
        self._schedulers: list[ProgressScheduler] | None = None
        self._loaded: Mapping[str, Any] | None = None
        self._begun = False  # the fit at hand, so that `_selection` is its own

    @property
    def selection(self) -> Selection:
        """What carries the selector; it is there once a fit has begun."""
        if self._selection is None:
            raise RuntimeError("selection: is there from the first training batch on")
        return self._selection

    def loss(self, batch: object) -> Tensor:
        """What a training step returns: the objective of the picked rows of a batch.

        Raises:
            ValueError: no batch of our loader, or losses that are not [m].
        """
        self._set_rates()
        return self.selection.loss(batch)  # type: ignore[arg-type]  # it checks

    # ---------------------------------------------------------------- called by Lightning

    def train_dataloader(self) -> DataLoader[Any]:
        """The loader of the epoch at hand; asked for anew in each."""
        trainer = self._trainer
        if self._selection is None or not self._begun:
            self._selection = self._begin_run(trainer)
            self._begun = True
        epoch = trainer.current_epoch
        with trainer.precision_plugin.forward_context():
            # Its last step may lie before an interruption: what ends an epoch is done here.
            if self._selection.unfinished and epoch > self._selection.epochs.start:
                self._selection.finish()
        self._selection.begin(epoch)
        return self._selection.loader

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:  # noqa: ANN401
        """See that training batches are the planned ones, while their ids lie on the host."""
        return self.selection.follow(batch) if self._trainer.training else batch

    def transfer_batch_to_device(
        self,
        batch: Any,  # noqa: ANN401 - Lightning's
        device: Any,  # noqa: ANN401
        dataloader_idx: int,
    ) -> Any:  # noqa: ANN401
        if isinstance(batch, IndexedBatch):
            return batch.to(device)
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def state_dict(self) -> dict[str, Any]:
        return {} if self._selection is None else self._selection.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._loaded, self._begun = state_dict, False

    def setup(self, stage: str) -> None:
        if stage == "fit":  # another fit, perhaps, of another module
            self._loaded, self._begun = None, False

    def teardown(self, stage: str) -> None:
        if stage == "fit" and self._selection is not None:
            self._begun = False
            self._selection.settle()
            self.selector.check()

    # ---------------------------------------------------------------- within

    @property
    def _trainer(self) -> Trainer:
        assert self.trainer is not None
        return self.trainer

    def _begin_run(self, trainer: Trainer) -> Selection:
        epochs = self.selector.num_epochs
        reload = trainer.reload_dataloaders_every_n_epochs  # type: ignore[attr-defined]
        require(trainer.max_epochs == epochs, "max_epochs", trainer.max_epochs,
                f"{epochs}, the selector's num_epochs")  # fmt: skip
        require(reload == 1, "reload_dataloaders_every_n_epochs", reload,
                "1: Lightning would cut the epochs that are longer than the first")  # fmt: skip
        require(trainer.max_steps == -1, "max_steps", trainer.max_steps, "-1: epochs are planned")
        limit = trainer.limit_train_batches
        require(limit == 1.0, "limit_train_batches", limit, "1.0: the plan says which are trained")
        replaced = trainer._accelerator_connector.use_distributed_sampler
        several = trainer.world_size > 1
        require(not (several and replaced), "use_distributed_sampler", True,
                "False: the plan is dealt out to the ranks already")  # fmt: skip
        if self._loaded is None:
            self._require_beginning(trainer)
        selection = Selection(
            self.selector,
            trainer.lightning_module,
            self._losses_of,
            self._dataset,
            self._meta_batch_size,
            **self._options,
        )
        if self._loaded is not None:
            selection.load_state_dict(self._loaded)
        self._loaded = self._schedulers = None
        return selection

    def _require_beginning(self, trainer: Trainer) -> None:
        """Refuse to begin anew what has begun already: its tables would be another run's."""
        if trainer.global_step > 0:
            raise ValueError(
                f"ckpt_path: must hold the state of {type(self).__name__}: the trainer stands at "
                f"step {trainer.global_step}, and the selector at its beginning"
            )
        if self._selection is not None:
            raise ValueError(
                "selector: has been trained with by an earlier fit; make a new one with a "
                "SelectionData of its own, or go on from a checkpoint by ckpt_path"
            )

    def _set_rates(self) -> None:
        """The learning rates of the step at hand, by the run's progress."""
        trainer = self._trainer
        if self._schedulers is None:
            configured = trainer.lr_scheduler_configs
            by_step = [config for config in configured if config.interval == "step"]
            require(not by_step, "configure_optimizers", "a scheduler by steps",
                    "without: give SelectionData a schedule, for epochs of any length")  # fmt: skip
            both = bool(configured) and self.schedule is not None
            require(not both, "schedule", self.schedule, "None where the module has a scheduler")
            schedule = self.schedule
            self._schedulers = (
                []
                if schedule is None
                else [ProgressScheduler(o, schedule) for o in trainer.optimizers]
            )
        scale = self.selection.lr_scale
        allowed = f"given: {self.selector.method_name()} scales the learning rate"
        require(bool(self._schedulers) or scale == 1, "schedule", None, allowed)
        for scheduler in self._schedulers:
            scheduler.step(self.selection.progress_of(trainer.accumulate_grad_batches), scale)
