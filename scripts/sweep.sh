#!/bin/bash
# Launch one of the paper's ablations: on this machine (joblib), or as a Slurm job array.
#   scripts/sweep.sh NAME [--dry-run] [OVERRIDE...]
#   PRESET=paper LAUNCHER=slurm scripts/sweep.sh beta_grid hydra.launcher.partition=gpu
#
#   NAME             item             what differs between its runs        PRESET=paper: runs, cost
#   beta_grid        Fig. 6 (CIFAR)   5 x 5 betas, two data sets           50, 7.3 h
#   beta_grid_cola   Fig. 6 (CoLA)    5 x 5 betas, three seeds             75, 0.5 h
#   local_beta_grid  Fig. 7           3 x 3 betas at the defaults          27, 3.9 h
#   batch_ratio      Fig. 5, left     b/B from 1/2 to 1/64                 6, 12.9 h
#   pruning_ratio    Fig. 5, right    r from 0 to 0.6                      21, 2.3 h
#   annealing_ratio  Table 8          annealed share at each end           21, 3.1 h
#
# Costs: the totals of --dry-run, H100 hours of training, estimated and not measured. PRESET is demo
# (minutes on two cores, the default), small or paper; LAUNCHER is joblib (JOBS runs side by side) or
# slurm (a job a run). The same command goes on with what is missing; `make fig5 fig6 fig7 table8`
# launch the same sweeps and then build the figure or the table.
set -euo pipefail

declare -A sweeps=(
    [beta_grid]=fig6 [beta_grid_cola]=fig6_cola [local_beta_grid]=fig7
    [batch_ratio]=fig5_left [pruning_ratio]=fig5_right [annealing_ratio]=table8
)
name=${1:-}
if [[ -z $name || -z ${sweeps[$name]:-} ]]; then
    echo "usage: scripts/sweep.sh NAME [--dry-run] [OVERRIDE...]; NAME: ${!sweeps[*]}" >&2
    exit 2
fi
shift

preset=${PRESET:-demo}
[[ $preset == paper ]] && folder= || folder=$preset/
launcher=("hydra/launcher=${LAUNCHER:-joblib}")
[[ ${LAUNCHER:-joblib} == joblib ]] && launcher+=("hydra.launcher.n_jobs=${JOBS:-2}")

python=${PYTHON:-.venv/bin/python}
if ! command -v "$python" > /dev/null; then
    echo "error: $python: not there; run make setup, or say PYTHON=" >&2
    exit 1
fi
if [[ $name == beta_grid_cola && $preset == demo ]]; then
    echo "error: beta_grid_cola has no demo form; say PRESET=small or PRESET=paper" >&2
    exit 2
fi

exec "$python" -m es_repro.train -m "sweep=$folder${sweeps[$name]}" \
    "${launcher[@]}" "$@"
