"""The command line of the judge: python -m es_repro.judge --help."""

import logging
import os
import shlex
import sys
from pathlib import Path

from es_repro.config import readable
from es_repro.judge.asked import parse
from es_repro.judge.session import judge, settle

__all__ = ["main"]

HELP = """\
Does a selection method work? Many seeds, controls at equal cost, everyone tuned alike.

  python -m es_repro.judge method=es method.beta1=0.5       a method of ours, two minutes
  python -m es_repro.judge selector=my_module:MySelector    a class of your own
  python -m es_repro.judge method=es,eswp workload=noise    several, on one workload
  python -m es_repro.judge effort=full                      every method on every workload

  method=NAME,...       of conf/method; method.KEY=VALUE behind it sets its keys
  selector=MODULE:CLASS the contract of es_repro.selection, built as
                        CLASS(num_samples, num_epochs, *, device, seed, **values);
                        selector.KEY=VALUE behind it gives the values
  workload=NAME,...     {workloads}
  effort=fast|full      fast: two minutes, and it says what that resolves (default)
  resolution=POINTS     seeds enough to decide differences of so many points (0.2)
  seeds=N               so many, whatever the pilot says
  device=cpu|cuda|auto  (cpu)
  out=FOLDER            where the card goes (RUNS_ROOT/judge/card)

Runs are kept under RUNS_ROOT (runs): the same command goes on, or answers at once.
"""


def main(arguments: list[str] | None = None) -> int:
    """Judge what is asked for; an error is one line and exit code 1."""
    words = sys.argv[1:] if arguments is None else arguments
    root = Path(os.environ.get("RUNS_ROOT", "runs"))
    try:
        session = settle(parse(words), root)
        verdict = judge(session, print)
        for name, found in verdict.findings.items():
            for f in found.values():
                print(name, f.method, str(f.baseline.decision), f.baseline.decision.trial.difference.mean, f.baseline.decision.half_width, {k:(c.control,str(c.decision), round(c.decision.trial.difference.mean,3)) for k,c in f.controls.items()}, f.gain, round(f.cost,3), f.mean, f.spread)
    except Exception as error:
        if os.environ.get("ES_REPRO_DEBUG"):
            raise
        print(f"error: {readable(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
