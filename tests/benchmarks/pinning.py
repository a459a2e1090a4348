"""Which core a process runs on."""

from __future__ import annotations

import os


def pin(core: int) -> bool:
    """Keep this process on one core; False where that cannot be (another system, too few cores)."""
    if core < 0 or not hasattr(os, "sched_setaffinity"):
        return False
    try:
        os.sched_setaffinity(0, {core})
    except OSError:
        return False
    return True
