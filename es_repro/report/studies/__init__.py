"""Questions of our own, decided: few workloads, many seeds, every arm tuned, a plan beforehand.

A study is an experiment of the suite with its arms and the contrasts that were named before its
first run (`results/PLAN.md`); `report study NAME` makes its page from the records alone.
"""
