"""Results of a bench, made up."""


def estimate(median, spread=0.01):
    return {"median": median, "low": median - spread, "high": median + spread}


def work(planned=1000, rows=100, scored=0, trained=100, refreshed=0):
    return {
        "num_samples": 1000, "planned": planned, "batch_rows": rows, "scored": scored,
        "trained": trained, "refreshed": refreshed,
    }  # fmt: skip


def row(method, level, ratio, share, **changes):
    made = {
        "model": "net", "method": method, "level": level, "meta_batch_size": 100,
        "batch_ratio": 0.25 if level in ("batch", "both") else 1.0, "data": "1,000 random images",
        "work": work(scored=100, trained=25) if level in ("batch", "both") else work(),
        "baseline_work": work(), "step_ratio": estimate(ratio), "epoch_ratio": estimate(ratio),
        "ideal": 0.583, "share": None if share is None else estimate(share),
        "run_saved": None if share is None else estimate(0.9 * share), "step_seconds": 0.06,
        "baseline_seconds": 0.1, "plan_seconds": 0.02, "baseline_plan_seconds": 0.01,
        "refresh_seconds": None,
        "phases": {
            "data": 0.001, "scoring": 0.03, "selection": 0.0004, "training": 0.028, "other": 0.0006,
        },
        "selection_share": 0.004, "samples_per_second": 1600.0,
        "memory": {"saved_activations": 250, "peak_bytes": None},
        "plain_memory": {"saved_activations": 1000, "peak_bytes": None},
    }  # fmt: skip
    return made | changes


def results(**sections):
    quiet = {name: {"foreign_cores": 0.0, "contended": False} for name in sections}
    about = {
        "device": "cpu", "device_name": "EPYC", "threads": 2, "precision": "fp32",
        "compile": False, "torch": "2.12.1", "es_repro": "0.1.0", "commit": "0123456789abcdef",
        "dirty": False, "command": "python -m es_repro.bench", "sections": quiet,
    }  # fmt: skip
    return {"made": about} | sections


def planning(n, seconds, multinomial, peak):
    ratio = None if multinomial is None else estimate(seconds / multinomial)
    return {
        "num_samples": n, "seconds": seconds, "multinomial_seconds": multinomial, "ratio": ratio,
        "peak_bytes": peak,
    }  # fmt: skip


def loading(model, workers, ours, speedup):
    return {
        "model": model, "workers": workers, "ours": ours, "theirs": ours / speedup,
        "speedup": estimate(speedup), "data": "5,120 random images",
    }  # fmt: skip
