"""Maths evaluation: what share of problems a model's sampled answers solve (Table 9's pass@1)."""
