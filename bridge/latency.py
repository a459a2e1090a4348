"""How long vendors take, over the newest turns of all calls. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from bridge.control import VendorView

KEPT_TURNS = 500


class Latency:
    """Durations by vendor and step."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], deque[float]] = {}

    def add(self, vendor: str, step: str, ms: float) -> VendorView:
        """One more; returns this vendor's and step's figures."""
        self._kept.setdefault((vendor, step), deque(maxlen=KEPT_TURNS)).append(ms)
        return self._view(vendor, step)

    def views(self) -> Iterator[VendorView]:
        """All figures, in the order in which they first came."""
        for vendor, step in self._kept:
            yield self._view(vendor, step)

    def _view(self, vendor: str, step: str) -> VendorView:
        ordered = sorted(self._kept[vendor, step])
        return VendorView(
            vendor=vendor,
            step=step,
            p50_ms=round(ordered[len(ordered) // 2]),
            p95_ms=round(ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]),
            turns=len(ordered),
        )
