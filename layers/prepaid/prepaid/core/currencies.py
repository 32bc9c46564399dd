"""The currencies that packs can be sold in, as Stripe documents them: https://docs.stripe.com/currencies (2026).

Amounts are whole minor units. The currencies that an account can charge, and the minimum for converted amounts, depend
on the account: Stripe makes the final decision when it creates a payment page.
"""

# Lower case, as Stripe writes them.
CURRENCIES = frozenset({
    "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt", "bhd", "bif", "bmd",
    "bnd", "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad", "cdf", "chf", "clp", "cny", "cop", "crc", "cve", "czk",
    "djf", "dkk", "dop", "dzd", "egp", "etb", "eur", "fjd", "fkp", "gbp", "gel", "gip", "gmd", "gnf", "gtq", "gyd",
    "hkd", "hnl", "htg", "huf", "idr", "ils", "inr", "isk", "jmd", "jod", "jpy", "kes", "kgs", "khr", "kmf", "krw",
    "kwd", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl", "mad", "mdl", "mga", "mkd", "mmk", "mnt", "mop", "mur",
    "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio", "nok", "npr", "nzd", "omr", "pab", "pen", "pgk", "php",
    "pkr", "pln", "pyg", "qar", "ron", "rsd", "rub", "rwf", "sar", "sbd", "scr", "sek", "sgd", "shp", "sle", "sos",
    "srd", "std", "szl", "thb", "tjs", "tnd", "top", "try", "ttd", "twd", "tzs", "uah", "ugx", "usd", "uyu", "uzs",
    "vnd", "vuv", "wst", "xaf", "xcd", "xcg", "xof", "xpf", "yer", "zar", "zmw",
})  # fmt: skip
# The smallest charge, where Stripe documents a minimum.
MINIMUM_AMOUNTS = {
    "aed": 200,
    "aud": 50,
    "brl": 50,
    "cad": 50,
    "chf": 50,
    "czk": 1500,
    "dkk": 250,
    "eur": 50,
    "gbp": 30,
    "hkd": 400,
    "huf": 17_500,
    "inr": 50,
    "jpy": 50,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "nzd": 50,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "sgd": 50,
    "thb": 1000,
    "usd": 50,
}
ZERO_DECIMAL = frozenset({
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf",
})  # fmt: skip
THREE_DECIMAL = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
# Amounts must be whole multiples: cards support no third decimal, and ISK and UGX have no decimals but are written as
# if they had two.
STEPS = {**dict.fromkeys(THREE_DECIMAL, 10), "isk": 100, "ugx": 100}


def amount_error(amount: int, currency: str) -> tuple[str, str] | None:
    """Why Stripe can't charge this amount of minor units, as ("amount" or "currency", reason); None when it can."""
    if currency not in CURRENCIES:
        return "currency", "is not supported by Stripe"
    minimum, step = MINIMUM_AMOUNTS.get(currency, 1), STEPS.get(currency, 1)
    if amount < minimum:
        return "amount", f"must be at least {minimum} minor units, which is {amount_text(minimum, currency)}"
    if amount % step:
        return "amount", f"must be a multiple of {step} minor units in {currency}"
    return None


def amount_text(amount: int, currency: str) -> str:
    """An amount of minor units in its usual notation: 0.50 BRL, 50 JPY."""
    decimals = decimals_of(currency)
    whole, part = divmod(amount, 10**decimals)
    return f"{whole}.{part:0{decimals}d} {currency.upper()}" if decimals else f"{whole} {currency.upper()}"


def decimals_of(currency: str) -> int:
    """How many decimals the currency's minor unit has: 2 for BRL, 0 for JPY."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
