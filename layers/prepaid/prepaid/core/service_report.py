"""The service report: one feature's use in a month, in all and by customer."""

from collections.abc import Iterable
from dataclasses import dataclass

from prepaid.core.entry import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerUse:
    """customer: as the entries name them; None for those that name none. units: in all. The rest: what paid."""

    customer: str | None
    units: int
    quota_units: int
    credits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReport:
    """customers: those with most units first, then by name. The figures are of all of them."""

    units: int
    quota_units: int
    credits: int
    customers: tuple[CustomerUse, ...]


def service_report(entries: Iterable[Entry]) -> ServiceReport:
    """The report of these entries: consumptions and captures, less what reversals returned."""
    uses: dict[str | None, CustomerUse] = {}
    for entry in entries:
        none = CustomerUse(customer=entry.customer, units=0, quota_units=0, credits=0)
        use = uses.get(entry.customer, none)
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
