"""Guards that raise on what would make a device wait; shared by the tests of the hot path."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = {
    "aten._local_scalar_dense",
    "aten.nonzero",
    "aten.nonzero_numpy",
    "aten.masked_select",
    "aten.multinomial",
    "aten.unique_consecutive",
    "aten._unique2",
    "aten.equal",
    "aten.is_nonzero",
    "aten.repeat_interleave",
}
INDEXING = {"aten.index", "aten.index_put_", "aten.index_put"}
READS = ("tolist", "numpy", "item", "cpu")  # no operators: on the CPU they read memory


class NoWaiting(TorchDispatchMode):
    """Raises on every operator that would make a GPU's queue wait."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func.overloadpacket)
        indices = args[1] if name in INDEXING else ()
        masked = any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices)
        if name in WAITING or masked:
            raise AssertionError(f"{func} waits for the device")
        return func(*args, **(kwargs or {}))


def forbidden(self, *args, **kwargs):
    """Stands in for the methods of a tensor that leave its device."""
    raise AssertionError("leaves the device")
