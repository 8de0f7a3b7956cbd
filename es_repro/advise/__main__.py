"""The command line of the advice: python -m es_repro.advise --help."""

if __name__ == "__main__":  # before what only the suite brings is imported
    from es_repro.extras import needs

    needs("suite")


import argparse
import json
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from es_repro.advise.advising import RATIOS
from es_repro.advise.ours import advise_config, settled
from es_repro.config import exit_code
from es_repro.process.machine import Strangers, environment
from es_repro.process.progress import RunBar
from es_repro.storage.files import write_json

__all__ = ["main"]

BUSY_CORES = 0.25

log = logging.getLogger(__name__)

TEACHING = """\
What a method costs in time depends on the loop, not on the method alone: on the loader, on whether
b rows cost b/B of a batch, on the scoring pass. This times those parts of a run's own loop, in
turn, and predicts from them and from the cost model (annealing, pruning) the time of whole runs.

how to read it:
  time of the run   relative to the run without selection, with a 95% interval of the timed rounds
  in FLOPs          the same if passes over the net were all that costs
  or the baseline over ...
                    so many epochs without selection take the same time: the control that usually
                    wins. Try that first
  shares of it on b rows
                    what training on b of B rows costs beside training on B. Near b/B: rows are
                    what is paid for; near 1: the step is too small for fewer rows to be cheaper
  a batch beside the step
                    what loading adds to the training; selection does not make it cheaper
KAKURENBO's and InfoBatch's shares depend on the losses: the cost model hides all that may be
hidden, and takes 70% of the losses to lie below their mean.

examples:
  python -m es_repro.advise                                      the embedded default
  python -m es_repro.advise experiment=table2_cifar10_resnet18 run.threads=1
  python -m es_repro.advise dataset=cifar10 model=resnet18 meta_batch_size=128 epochs=200
  python -m es_repro.advise method=eswp method.prune_ratio=0.3   this method alone
  python -m es_repro.advise --ratios 0.5,0.1 --json advice.json
  python -m es_repro.bench advise                                the advice against measured runs

in a loop of your own:
  from es_repro.advise import advise
  print(advise(step, loader, num_epochs=30, update=update, restore=[model, optimizer]))

Leave the machine alone meanwhile. Nothing is kept of what is trained.
"""


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    options = argparse.ArgumentParser(
        prog="python -m es_repro.advise",
        description="Is data selection worth it for this run? Minutes of timing, before hours of "
        "training.",
        epilog=TEACHING, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    options.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="as of python -m es_repro.train"
    )
    options.add_argument("--rounds", type=int, default=30, help="that are timed (%(default)s)")
    options.add_argument(
        "--ratios", type=_ratios, default=list(RATIOS), metavar="F,...",
        help="b/B tried beside the recipe's own (0.5,0.25,0.125)",
    )  # fmt: skip
    options.add_argument("--json", metavar="FILE", help="everything for machines; -: instead of it")
    return options


def advise_and_print(arguments: Sequence[str]) -> None:
    """Advise as the command line asks."""
    asked = parser().parse_intermixed_args(arguments)
    config, device = settled(asked.overrides)
    strangers, bar = Strangers(), RunBar("advise", enabled=True)
    with bar:
        advice = advise_config(
            asked.overrides, ratios=asked.ratios, rounds=asked.rounds, show=bar.show
        )
    cores = strangers.cores()
    made = environment(device, config.precision, config.compile)
    made |= {"command": shlex.join(["python", "-m", "es_repro.advise", *arguments])}
    made |= {"foreign_cores": cores, "contended": cores > BUSY_CORES}
    if asked.json == "-":
        print(json.dumps({"made": made, **advice.as_dict()}, indent=2))
    else:
        where = f"{made['device_name']}, {made['threads']} threads, {made['precision']}"
        print(f"{where}{', compiled' if made['compile'] else ''}\n{advice}")
    if asked.json not in (None, "-"):
        write_json(Path(asked.json), {"made": made, **advice.as_dict()})
    if made["contended"]:
        log.warning("contended: others kept %.1f cores busy; repeat on an idle machine", cores)


def _ratios(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: must be numbers, such as 0.5,0.25") from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Advise; an error is one line and exit code 1."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        advise_and_print(sys.argv[1:] if arguments is None else arguments)
    except Exception as error:  # noqa: BLE001 - it ends in a line
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
