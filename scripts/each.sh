#!/bin/bash
# Make several targets one after the other, past failures, and end with how each went:
#   scripts/each.sh LOGS TARGET...          (the Makefile calls it for `make paper`)
# LOGS: a folder; each target's output goes to LOGS/TARGET.log and to the terminal.
# MAKE and MAKEFLAGS are make's own; the exit code is 1 where a target failed.
set -uo pipefail

logs=$1
shift
mkdir -p "$logs"
lines=() failed=() start=$SECONDS
for target in "$@"; do
    echo "==== $target ($((${#lines[@]} + 1)) of $#)"
    began=$SECONDS
    if "${MAKE:-make}" --no-print-directory "$target" 2>&1 | tee "$logs/$target.log"; then
        how=done
    else
        how="FAILED: $(grep -v '^make' "$logs/$target.log" | grep . | tail -n 1 | cut -c 1-200)"
        failed+=("$target")
    fi
    lines+=("$(printf '%-10s %6d s  %s' "$target" $((SECONDS - began)) "$how")")
done
{
    echo "==== $# targets in $((SECONDS - start)) s, ${#failed[@]} failed${failed:+: ${failed[*]}}"
    printf '%s\n' "${lines[@]}"
} | tee "$logs/summary.txt"
[[ ${#failed[@]} -eq 0 ]]
