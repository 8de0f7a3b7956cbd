"""Selection inside transformers' Trainer.

    class SelectingTrainer(SelectionMixin, Trainer): ...

    trainer = SelectingTrainer(model=..., args=..., train_dataset=data,
                               selector=create("es", len(data), epochs, device=args.device))

A micro-batch on all ranks, ``per_device_train_batch_size`` times their number, is a meta-batch. It
is scored and cut to its picked rows as it is fetched, so that the Trainer's count of labels over an
accumulated step holds the trained rows alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from es_repro.integrations.checkpoints import last_whole, selection_file, write_selection
from es_repro.integrations.keyed import INDEX, KeyedCollate, join_index, split_index
from es_repro.integrations.rowwise import class_signals, row_losses
from es_repro.integrations.schedules import ProgressLambdaLR
from es_repro.selection import Indexed, IndexedBatch, PlannedBatchSampler, Selector, require, stream
from es_repro.selection.exchange import TableExchange
from es_repro.selection.foreign import as_selector
from es_repro.selection.loop import MIXED, require_device, require_ids, require_raising
from es_repro.selection.scoring import collate_mixes, depends_on_other_rows, scoring_pass

if TYPE_CHECKING:
    from transformers import Trainer

    Base = Trainer
else:
    Base = object

__all__ = ["ProgressLambdaLR", "SelectionMixin"]


class SelectionMixin(Base):
    """To be put before Trainer, or a class of it, among the bases.

    Override `sample_losses` where logits and labels alone do not make the loss.

    Args:
        *args: the trainer's.
        selector: the method, of as many samples as `train_dataset` and of `num_train_epochs`
            epochs.
        check_rows: see once, on the first batch, that a row's loss is its own.
        **kwargs: the trainer's.

    Raises:
        ValueError: an argument that selection cannot go with; the message names it.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        selector: Selector,
        check_rows: bool = True,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        settings = self.args
        self.selector = selector = as_selector(selector)
        require_raising(selector)
        require_device(selector, settings.device)
        self._unchecked = check_rows
        epochs = selector.num_epochs
        require(settings.max_steps <= 0, "max_steps", settings.max_steps, "-1: epochs are planned")
        planned = settings.num_train_epochs == epochs
        allowed = f"{epochs}, the selector's num_epochs"
        require(planned, "num_train_epochs", settings.num_train_epochs, allowed)
        n = len(self.train_dataset)  # type: ignore[arg-type]  # Indexed refuses what has none
        allowed = f"{n}, the length of train_dataset"
        require(selector.num_samples == n, "num_samples", selector.num_samples, allowed)
        one = "1: launch one process a GPU"
        require(settings.n_gpu <= 1, "n_gpu", settings.n_gpu, one)
        self._require_known_sharding()
        strategy = getattr(settings, "train_sampling_strategy", "random")
        require(
            strategy == "random", "train_sampling_strategy", strategy, "random: the plan decides"
        )
        found = settings.auto_find_batch_size
        require(
            not found, "auto_find_batch_size", found, "False: the meta-batch is part of the run"
        )
        own = "None: override sample_losses, which answers one loss a sample"
        require(self.compute_loss_func is None, "compute_loss_func", self.compute_loss_func, own)
        self.loss_is_scaled_for_ga = True  # `compute_loss` does it
        self._exchange = TableExchange(selector, settings.process_index, settings.world_size)
        self._planned: PlannedBatchSampler | None = None
        self._expected: list[list[int]] = []  # ids of the epoch's micro-batches on this rank
        self._position = 0  # micro-batches of the epoch that have been fetched
        self._updates = (0, 1)  # optimizer steps of the epoch: done, and in all
        self._options: dict[str, Any] = {}

    def _require_known_sharding(self) -> None:
        """Refuse what scoring has not been tried under, and what Accelerate leaves undone."""
        settings, plugin = self.args, getattr(self.accelerator.state, "fsdp_plugin", None)
        done = not settings.fsdp or self.is_fsdp_enabled
        require(done, "fsdp", settings.fsdp, "left out here: Accelerate shards nothing on a CPU")
        version = 2 if plugin is None else plugin.fsdp_version
        require(version == 2, "fsdp_config['version']", version, "2: the other is not supported")
        supported = "off: DistributedDataParallel and FSDP2 are supported"
        require(not self.is_deepspeed_enabled, "deepspeed", True, supported)

    def sample_losses(
        self,
        outputs: Any,  # noqa: ANN401 - a ModelOutput
        inputs: Mapping[str, Any],
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Losses of the rows of a batch, by the model's logits and the batch's labels.

        Returns:
            [m] summed losses with gradient, [m] numbers of labels they are sums of (1 for a loss
            of the row as a whole), and signals [m, ...] by name.
        """
        labels, logits = inputs["labels"], outputs["logits"]
        shifted, smoothing = self._loss_shifts_labels, self.args.label_smoothing_factor
        kind = getattr(getattr(self.model, "config", None), "problem_type", None)
        sums, counts = row_losses(
            logits, labels, smoothing, shifted=shifted, regression=kind == "regression"
        )
        return sums, counts, class_signals(logits, labels)

    # ---------------------------------------------------------------- the path of a batch

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Planned meta-batches, whose sample ids travel in the batch."""
        dataset, collate, args = self.train_dataset, self.data_collator, self.args
        if hasattr(dataset, "column_names"):  # of the library datasets
            dataset = self._remove_unused_columns(dataset, description="training")
        else:
            collate = self._get_collator_with_removed_columns(collate, description="training")
        seed = args.seed if args.data_seed is None else args.data_seed
        self._planned = PlannedBatchSampler(
            self.selector,
            self._train_batch_size * args.world_size,
            seed=seed,
            rank=args.process_index,
            world_size=args.world_size,
            drop_last=args.dataloader_drop_last,
        )
        self._planned.set_epoch(self.selector.epoch)
        workers = args.dataloader_num_workers
        self._options = {
            "collate_fn": KeyedCollate(collate),
            "num_workers": workers,
            "pin_memory": args.dataloader_pin_memory and torch.cuda.is_available(),
            "prefetch_factor": args.dataloader_prefetch_factor if workers else None,
        }
        return DataLoader(
            Indexed(dataset),
            batch_sampler=self._planned,
            persistent_workers=args.dataloader_persistent_workers,
            generator=stream(seed, "workers", 0),
            **self._options,
        )

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """The micro-batches of a step, each cut to the rows that are trained on."""
        fetched = []
        for _ in range(num_batches):
            batch = next(epoch_iterator, None)
            if batch is not None:
                fetched.append(self._pick(batch))
        return fetched, self._get_num_items_in_batch(fetched, device)

    def _pick(self, batch: Any) -> dict[str, Any]:  # noqa: ANN401 - a mapping, or a mistake
        rows = split_index(batch)
        require_ids(rows, self.selector.num_samples)
        self._require_planned(rows.index)
        self._position += 1
        if self._unchecked:
            self._unchecked = False
            self._require_own_rows(rows.to(self.args.device))
        if not self.selector.selects_batches:
            return join_index(rows)
        rows = rows.to(self.args.device)
        if not self.selector.needs_losses:
            return join_index(rows.take(self.selector.select(rows.index, None)))
        losses, signals = self._score(rows)
        self._exchange.receive()
        picked = self.selector.select(rows.index, losses, **signals)
        self._exchange.send_rows(rows.index, losses, signals)
        return join_index(replace(rows.take(picked), scored=True))

    def _require_own_rows(self, rows: IndexedBatch) -> None:
        """Refuse rows that are mixed with one another, by the collator or in the loss."""
        device, ids, collate = self.args.device, rows.index.tolist(), self._options["collate_fn"]
        dataset = self.callback_handler.train_dataloader.dataset
        mixed = collate_mixes(dataset, ids, collate, device)
        require(not mixed, "data_collator", type(self.data_collator).__name__, MIXED)

        def losses_at(places: list[int]) -> Tensor:
            return self._seen(rows.take(rows.index.new_tensor(places)))[0]

        assert self.model is not None
        self.model.train()
        mixed = depends_on_other_rows(len(ids), losses_at, device, self.model)
        require(not mixed, "sample_losses", type(self).__name__, MIXED)

    def _score(self, rows: IndexedBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean losses a label [m] of a scoring pass, and the signals asked for."""
        assert self.model is not None
        with scoring_pass(self.model.train(), self.args.device):
            return self._seen(rows)

    def _seen(self, rows: IndexedBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The same, in whatever mode the model is."""
        assert self.model is not None
        with self.compute_loss_context_manager():
            inputs = self._prepare_inputs(rows.data)
            sums, counts, offered = self.sample_losses(self._forward(self.model, inputs), inputs)
        return sums / counts.clamp(min=1), self._asked(offered)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,  # noqa: ANN401 - as the Trainer counts it
    ) -> Any:  # noqa: ANN401
        """The objective of the picked rows; the Trainer's own without ids, in evaluation."""
        if INDEX not in inputs:
            require(
                not model.training, "batch", sorted(inputs), f"with {INDEX!r}, our loader's ids"
            )
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        rows = split_index(inputs)
        outputs = self._forward(model, rows.data)
        sums, counts, offered = self.sample_losses(outputs, rows.data)
        if not rows.scored:
            self._exchange.receive()
            seen, signals = (sums / counts.clamp(min=1)).detach(), self._asked(offered)
            self.selector.observe(rows.index, seen, **signals)
            self._exchange.send_rows(rows.index, seen, signals)
        if num_items_in_batch is None:
            loss = self.selector.reduce(rows.index, sums / counts.clamp(min=1))
            loss = loss / self.current_gradient_accumulation_steps
        else:  # the labels of all trained rows of the step
            loss = self.selector.reduce(rows.index, sums) * len(rows.index) / num_items_in_batch
            if self.args.average_tokens_across_devices:
                loss = loss * self.args.world_size  # the gradients are averaged over the ranks
        return (loss, outputs) if return_outputs else loss

    def _forward(self, model: torch.nn.Module, inputs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """The model's outputs, without a loss of its own where it does not need the labels."""
        needed = getattr(getattr(self.model, "config", None), "is_encoder_decoder", False)
        return model(**{k: v for k, v in inputs.items() if needed or k != "labels"})

    def _asked(self, offered: Mapping[str, Tensor]) -> dict[str, Tensor]:
        missing = sorted(self.selector.signals - offered.keys())
        allowed = f"with {', '.join(missing)} too, as {self.selector.method_name()} asks for"
        require(not missing, "signals of sample_losses", sorted(offered), allowed)
        return {name: offered[name].detach() for name in self.selector.signals}

    def _require_planned(self, index: Tensor) -> None:
        there = self._position < len(self._expected)
        if not there or index.tolist() != self._expected[self._position]:
            raise RuntimeError(
                f"epoch {self.selector.epoch}, batch {self._position}: the loader does not deliver "
                "the planned samples; was the sampler of the training dataloader replaced?"
            )

    # ---------------------------------------------------------------- epochs that shrink and grow

    def _run_epoch(  # type: ignore[override]  # the Trainer calls it by names alone
        self,
        **given: Any,  # noqa: ANN401 - as the Trainer passes them
    ) -> None:
        if self._planned is None:
            raise RuntimeError(
                "get_train_dataloader: must answer this trainer's own loader, which follows the "
                "plan; the training dataloader was replaced"
            )
        epoch, pieces = given["epoch"], self.args.gradient_accumulation_steps
        resumed = given["resume_from_checkpoint"] is not None and epoch == given["epochs_trained"]
        self._exchange.settle()
        self._planned.set_epoch(epoch)
        self._position = given["steps_trained_in_current_epoch"] if resumed else 0
        self._expected = list(self._planned)
        steps = len(self._expected)
        updates = -(-steps // pieces)
        self._updates = (-(-self._position // pieces), updates)
        given |= {"steps_in_epoch": steps, "num_update_steps_per_epoch": updates}
        left = updates - self._updates[0]
        later = self.selector.num_epochs - epoch - 1
        self.state.max_steps = self.state.global_step + left + later * self._full_updates
        if resumed:
            self._load_rng_state(given["resume_from_checkpoint"])  # before the first scoring pass
        if isinstance(self.lr_scheduler, ProgressLambdaLR):
            self.lr_scheduler.apply()
        super()._run_epoch(**given)
        self._exchange.settle()
        self._refresh()
        self.selector.check()

    @property
    def _full_updates(self) -> int:
        assert self._planned is not None
        batches = -(-self.selector.num_samples // self._planned.meta_batch_size)
        return -(-batches // self.args.gradient_accumulation_steps)

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> Any:  # noqa: ANN401 - as the Trainer declares it
        """The schedule that the arguments name, by the run's progress.

        Raises:
            ValueError: a schedule that is not a function of the step.
        """
        if isinstance(self.lr_scheduler, ProgressLambdaLR):
            return self.lr_scheduler
        made = super().create_scheduler(num_training_steps, optimizer)
        if not isinstance(made, LambdaLR):
            raise ValueError(
                f"lr_scheduler={type(made).__name__!r}: must be a LambdaLR, a function of the step "
                "whose argument can follow the run's progress"
            )
        self.lr_scheduler = ProgressLambdaLR(
            made.optimizer, made.lr_lambdas, num_training_steps, self._progress
        )
        return self.lr_scheduler

    def _progress(self) -> tuple[float, float]:
        done, updates = self._updates
        share = (self.selector.epoch + done / updates) / self.selector.num_epochs
        return min(1.0, share), self.selector.plan_epoch(self.selector.epoch).lr_scale

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401
        """The Trainer's; after the last of a step's micro-batches, the next rate is another."""
        loss: Tensor = super().training_step(*args, **kwargs)
        if self.accelerator.gradient_state.sync_gradients:
            self._updates = (self._updates[0] + 1, self._updates[1])
        return loss

    def _refresh(self) -> None:
        """Re-score the samples that the plan hid, without gradient (KAKURENBO)."""
        assert self._planned is not None
        hidden = self.selector.plan_epoch(self.selector.epoch).refresh
        if hidden is None or self._position < len(self._planned):
            return
        mine = self._exchange.share_ids(hidden)
        loader = self.callback_handler.train_dataloader
        batches = [ids.tolist() for ids in torch.split(mine, self._planned.rank_batch_size)]
        seen = []
        generator = stream(self._planned.seed, "workers", self.selector.epoch)
        for batch in DataLoader(
            loader.dataset, batch_sampler=batches, generator=generator, **self._options
        ):
            seen.append(self._score(split_index(batch).to(self.args.device)))
        losses = torch.cat([losses for losses, _ in seen])
        signals = {name: torch.cat([s[name] for _, s in seen]) for name in self.selector.signals}
        losses, everyones = self._exchange.everyones_rows(hidden, losses, signals)
        self.selector.observe(hidden.to(losses.device), losses, **everyones)

    # ---------------------------------------------------------------- checkpoint and resume

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        *args: Any,  # noqa: ANN401 - the Trainer's
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """The Trainer's; of its checkpoints, True takes the last that no kill has cut short."""
        if resume_from_checkpoint is True:
            assert self.args.output_dir is not None  # the arguments give it a default
            resume_from_checkpoint = last_whole(self.args.output_dir, self.args.world_size)
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def _save_rng_state(self, output_dir: str) -> None:
        """With the generators, each rank's selector, of the step that the checkpoint is of."""
        super()._save_rng_state(output_dir)
        self._exchange.settle()
        self.selector.check()
        state = {
            "selector": self.selector.state_dict(),
            "position": self._position,
            "updates": list(self._updates),
        }
        write_selection(state, selection_file(output_dir, self.args.process_index))

    def _init_training_state(
        self,
        max_steps: int,
        num_update_steps_per_epoch: int,
        num_train_epochs: int,
        resume_from_checkpoint: str | None,
        trial: Any,  # noqa: ANN401
    ) -> tuple[int, int]:
        found = super()._init_training_state(
            max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
        )
        if resume_from_checkpoint is None:
            return found
        file = selection_file(resume_from_checkpoint, self.args.process_index)
        if not file.is_file():
            raise ValueError(
                f"resume_from_checkpoint={resume_from_checkpoint!r}: must hold {file.name}, the "
                "selector of this rank: it was saved without selection, by fewer processes, or cut "
                "short; True takes the last that was not"
            )
        state = torch.load(file, "cpu", weights_only=True)
        self.selector.load_state_dict(state["selector"])
        self._updates = tuple(state["updates"])
        return self.selector.epoch, state["position"]
