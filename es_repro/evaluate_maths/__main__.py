"""Command line of the maths evaluation: python -m es_repro.evaluate_maths --help."""

if __name__ == "__main__":  # before what only the suite brings is imported
    from es_repro.extras import needs

    needs("suite")


import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["main"]

EXPORTS = "exports"


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="python -m es_repro.evaluate_maths",
        description="Sample answers to maths problems from a model and grade them (pass@1). The "
        "same command goes on with what was interrupted; every answer is kept in answers.jsonl, "
        "the outcome in results.json.",
    )
    models = top.add_mutually_exclusive_group(required=True)
    models.add_argument("--model", nargs="+", help="folders, or names on the hub")
    models.add_argument("--experiment", help="all models that its finished runs exported")
    root = Path(os.environ.get("DATA_ROOT", "data"))
    top.add_argument("--data", type=Path, default=root / "math", help="folder of the sets' files")
    top.add_argument("--runs", type=Path, default=Path(os.environ.get("RUNS_ROOT", "runs")))
    top.add_argument("--out", type=Path, help="folder of the answers (of one model)")
    sets = ("math500", "aime24", "olympiadbench")
    top.add_argument("--sets", nargs="+", default=list(sets), help=" ".join(sets))
    top.add_argument("--limit", type=int, help="of each set, the first so many problems")
    top.add_argument("--samples", type=int, default=1, help="answers a problem (1)")
    top.add_argument("--temperature", type=float, default=1.0, help="(1.0)")
    top.add_argument("--top-p", type=float, default=1.0, help="(1.0)")
    top.add_argument("--max-new-tokens", type=int, default=3072, help="of an answer (3072)")
    top.add_argument("--batch-size", type=int, default=16, help="answers at a time (16)")
    top.add_argument("--seed", type=int, default=0, help="of all answers (0)")
    top.add_argument("--grading-seconds", type=float, default=10.0, help="an answer (10)")
    top.add_argument("--backend", choices=("auto", "vllm", "transformers"), default="auto")
    return top


def main() -> None:
    """Evaluate; an error is one line and exit code 1."""
    asked = parser().parse_args()
    from es_repro.config import exit_code  # here: --help and the grader's process do without torch

    try:
        for line in _run(asked):
            print(line, flush=True)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - it ends in a line
        sys.exit(exit_code(error))


def _run(asked: argparse.Namespace) -> Iterator[str]:
    from es_repro.evaluate_maths.evaluation import Protocol, evaluate
    from es_repro.evaluate_maths.generation import Sampling
    from es_repro.evaluate_maths.problems import read_problems
    from es_repro.process.progress import RunBar

    problems = read_problems(asked.data, asked.sets, asked.limit)
    sampling = Sampling(asked.temperature, asked.top_p, asked.max_new_tokens)
    protocol = Protocol(
        sampling,
        samples=asked.samples,
        batch_size=asked.batch_size,
        seed=asked.seed,
        grading_seconds=asked.grading_seconds,
        backend=asked.backend,
    )
    models = asked.model or _exported(asked.runs, asked.experiment)
    if asked.out is not None and len(models) != 1:
        raise ValueError(f"out={asked.out}: must be left out where there are several models")
    for model in models:
        out = asked.out or _place(model)
        with RunBar(str(model), enabled=True) as bar:
            found = evaluate(str(model), problems, out, protocol, bar.show)
        yield f"{model}: {_in_words(found)}\n{out}"


def _exported(runs: Path, experiment: str) -> list[Path]:
    """The models of an experiment's finished runs, by run and step."""
    try:
        lines = (runs / "members.jsonl").read_text().splitlines()
    except FileNotFoundError:
        raise ValueError(
            f"runs={runs}: must hold members.jsonl; no run was asked for here"
        ) from None
    members = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    asked = dict.fromkeys(x["run"] for x in members if x["experiment"] == experiment and x["run"])
    finished = [runs / run for run in asked if (runs / run / "done").exists()]
    found = [x for run in finished for x in sorted((run / EXPORTS).glob("step-*"), key=_step)]
    if not found:
        raise ValueError(
            f"experiment={experiment}: must have finished runs with exports in {runs}; "
            "there are none (keep_steps)"
        )
    return found


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _place(model: str | Path) -> Path:
    """Where a model's answers go: beside the exports of its run, else below `evaluations/`."""
    path = Path(model)
    if path.parent.name == EXPORTS:
        return path.parent.parent / "evaluations" / path.name
    return Path("evaluations") / (path.name or "model")


def _in_words(found: dict[str, Any]) -> str:
    parts = [
        f"{name} {_percent(x)} ({x['right']} of {x['answers']} answers right)"
        for name, x in found["sets"].items()
    ]
    return "; ".join([*parts, f"mean {_percent(found['mean'])}"])


def _percent(found: dict[str, Any]) -> str:
    error = found["standard_error"]
    spread = f" ± {100 * error:.1f}" if error else ""  # none right or all: no scatter to go by
    return f"{100 * found['accuracy']:.1f}{spread}%"


if __name__ == "__main__":
    main()
