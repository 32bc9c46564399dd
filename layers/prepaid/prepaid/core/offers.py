"""The packs on sale as people compare them: price per credit, saving, best value."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from prepaid.core.catalog import Catalog, Pack
from prepaid.core.errors import InvalidRequest

# So many that no pack's price per credit is rounded to 0: a pack has at most a billion credits.
PRICE_PLACES = 9
PRICE_SCALE = 10**PRICE_PLACES


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A pack with its price comparison. price_per_credit: minor units, exact. saving_percent: compared with the
    smallest pack of the same currency, rounded down so that it never overstates. best_value: the highest saving."""

    pack: Pack
    price_per_credit: Fraction
    saving_percent: int
    best_value: bool


def offers(catalog: Catalog) -> tuple[Offer, ...]:
    """Each pack on sale, compared with the smallest pack of its currency. Smallest first."""
    return tuple(_offer(pack, catalog.packs_in(pack.currency)) for pack in catalog.packs_on_sale)


def offers_in(catalog: Catalog, currency: str | None) -> tuple[Offer, ...]:
    """The offers to an account that buys in a currency, smallest first. None: the catalog's own currency."""
    return tuple(offer for offer in offers(catalog) if offer.pack.currency == (currency or catalog.currency))


def price_text(price: Fraction) -> str:
    """A price in minor units as a decimal number without trailing zeros: 49.9.

    It is exact with up to PRICE_PLACES decimal places. A longer one is rounded half up to as many.
    """
    whole, part = divmod(
        (price.numerator * 2 * PRICE_SCALE + price.denominator) // (2 * price.denominator), PRICE_SCALE
    )
    return f"{whole}.{part:0{PRICE_PLACES}d}".rstrip("0").rstrip(".")


def check_prices(catalog: Catalog) -> None:
    """Reject a pack on sale that is cheaper per credit than a larger pack of its currency: usually a mistake.

    Raises InvalidRequest.
    """
    errors = [
        ("packs", f"{small.id} is cheaper per credit than the larger {large.id}")
        for small, large in combinations(catalog.packs_on_sale, 2)
        if small.currency == large.currency
        and small.credits < large.credits
        and _price_per_credit(small) < _price_per_credit(large)
    ]
    if errors:
        raise InvalidRequest(tuple(errors))


def _offer(pack: Pack, rivals: tuple[Pack, ...]) -> Offer:
    best = min(rivals, key=lambda rival: (_price_per_credit(rival), rival.credits))
    return Offer(
        pack=pack,
        price_per_credit=_price_per_credit(pack),
        saving_percent=_saving_percent(pack, rivals[0]),
        best_value=pack is best and _price_per_credit(pack) < _price_per_credit(rivals[0]),
    )


def _price_per_credit(pack: Pack) -> Fraction:
    return Fraction(pack.amount, pack.credits)


def _saving_percent(pack: Pack, smallest: Pack) -> int:
    base = _price_per_credit(smallest)
    if base == 0:
        return 0
    return max(0, int((base - _price_per_credit(pack)) * 100 / base))
