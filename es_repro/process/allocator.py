"""What the C library does with memory that a step has freed."""

import ctypes
import platform

__all__ = ["keep_freed_memory"]

# mallopt's own numbers (malloc.h), and the largest values that glibc takes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_TRIM, _LARGEST_MMAP = 2**31 - 1, 32 * 2**20


def keep_freed_memory() -> bool:
    """Keep freed memory for the next step instead of giving it back; answers whether it could.

    A training step on a CPU frees all its activations and asks for them again. Whether glibc gives
    them back to the system in between, and every page is faulted in anew, hangs on what else lies
    in the heap: a step of a small net then costs a third more (55 ms of 220, a Sapphire Rapids).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    kept = mallopt(_TRIM_THRESHOLD, _LARGEST_TRIM), mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP)
    return all(kept)
