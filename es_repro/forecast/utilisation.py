"""What of an H100 the recipes' nets are assumed to reach: for estimates of hours, not measured."""

__all__ = ["ASSUMED", "h100_hours"]

H100_FLOPS = 989e12  # a second, dense bf16
# By model option. Small kernels (ResNets), launches (ALBERT), and what is published of ViT-L, MAE
# and Qwen.
ASSUMED = {
    "resnet18": 0.04, "resnet50": 0.03, "vit_l16": 0.37, "vit_mae_large": 0.26,
    "albert_base": 0.045, "qwen25_math_15b": 0.40,
}  # fmt: skip


def h100_hours(flops: float, option: str) -> float:
    """Estimated hours of one H100.

    Args:
        flops: of the whole training.
        option: of the model, one of `ASSUMED`.
    """
    return flops / (H100_FLOPS * ASSUMED[option]) / 3600
