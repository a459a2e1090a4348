"""The tools of the shipped profiles. They work on a little data in memory, so a rehearsal can use
them and nothing in the world changes; replace them with ones that reach your own systems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from bridge.tools import Caller, tool

Month = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}$")]
Day = Annotated[str, Meta(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]
Name = Annotated[str, Meta(min_length=1, max_length=80)]


@dataclass(frozen=True)
class Payment:
    """Money that a customer paid for an order."""

    payment: str
    order: str
    date: str
    amount: float
    currency: str = "USD"


PAYMENTS = (
    Payment("pi_77119", "8841", "2026-03-04", 48.0),
    Payment("pi_77120", "8841", "2026-03-04", 48.0),
    Payment("pi_77342", "8902", "2026-04-11", 23.5),
)

FREE_TIMES = (
    "2026-11-24 09:30",
    "2026-11-24 15:00",
    "2026-11-25 11:15",
    "2026-11-26 10:00",
    "2026-11-26 16:45",
)


@tool
async def find_payments(order: str, month: Month | None = None) -> object:
    """Look up what was paid for an order.

    order: The order number, digits only.
    month: Only payments of this month, as YYYY-MM.
    """
    found = [p for p in PAYMENTS if p.order == order and p.date.startswith(month or "")]
    return {"payments": found} if found else "No payments were found for that order."


@tool
async def refund_payment(payment: str, amount: Annotated[float, Meta(gt=0)], reason: str = "") -> object:
    """Pay money back to the customer. Only for a payment found before, once the customer agrees.

    payment: The payment's id, as find_payments gave it.
    amount: How much to pay back, in the payment's currency; at most what was paid.
    reason: Why, in a few words.
    """
    for found in PAYMENTS:
        if found.payment == payment and amount <= found.amount:
            arrives = "in three to five working days"
            return {"refund": f"re_{payment[3:]}", "amount": amount, "currency": found.currency, "arrives": arrives}
        if found.payment == payment:
            return f"Refused: only {found.amount:.2f} {found.currency} were paid."
    return "Refused: there is no such payment."


@tool
async def list_free_times(day: Day = "") -> object:
    """List the times at which a visit can be booked.

    day: Only times on this day, as YYYY-MM-DD; leave out for the next few days.
    """
    found = [time for time in FREE_TIMES if time.startswith(day)]
    return {"free": found} if found else "No time is free then."


@tool
async def book_appointment(time: str, name: Name, caller: Caller) -> object:
    """Book a visit at a free time.

    time: One of the times that list_free_times gave, unchanged.
    name: Whom the visit is for.
    """
    if time not in FREE_TIMES:
        return "Not booked: that time is not free."
    return {"booked": time, "name": name, "reference": f"R-{FREE_TIMES.index(time) + 301}"}


@tool
async def ask_for_person(reason: str = "") -> object:
    """Ask a human colleague to join this call. The caller stays on the line.

    reason: What it is about, in a few words.
    """
    return "A colleague was asked to join. Tell the caller so, and go on helping until then."
