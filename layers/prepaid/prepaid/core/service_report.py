"""The service report: one feature's use in a month, in total and by customer."""

from collections.abc import Iterable
from dataclasses import dataclass

from prepaid.core.entry import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerUse:
    """One customer's use. customer: None for the use that names no customer. quota_units, credits: what paid for it."""

    customer: str | None
    units: int
    quota_units: int
    credits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReport:
    """The use of all customers together, and of each. customers: those with most units first, then by name."""

    units: int
    quota_units: int
    credits: int
    customers: tuple[CustomerUse, ...]


def service_report(entries: Iterable[Entry]) -> ServiceReport:
    """The report of these entries: consumptions and captures, less what reversals returned."""
    uses: dict[str | None, CustomerUse] = {}
    for entry in entries:
        no_use = CustomerUse(customer=entry.customer, units=0, quota_units=0, credits=0)
        use = uses.get(entry.customer, no_use)
        uses[entry.customer] = CustomerUse(
            customer=entry.customer,
            units=use.units + entry.units,
            quota_units=use.quota_units + entry.quota_units,
            credits=use.credits + entry.spent,
        )
    customers = sorted(uses.values(), key=lambda use: (-use.units, use.customer or ""))
    return ServiceReport(
        units=sum(use.units for use in customers),
        quota_units=sum(use.quota_units for use in customers),
        credits=sum(use.credits for use in customers),
        customers=tuple(customers),
    )
