"""Weights and tokenizers that others have made, and where their files lie."""
