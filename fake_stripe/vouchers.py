"""Pix codes ("copia e cola") and the 47 digits of boletos. Their format is valid, but no bank accepts them."""

from datetime import UTC, date, datetime, timedelta, timezone

SAO_PAULO = timezone(timedelta(hours=-3))  # no daylight saving time since 2019, so no time zone file is needed
NO_BANK = "999"
FACTOR_1000 = date(2025, 2, 22)  # a boleto counts days to its due date; the count restarted at 1000 on this day


def pix_code(*, amount: int, reference: str, merchant: str) -> str:
    key = _field("00", "br.gov.bcb.pix") + _field("01", "pix-de-teste@example.com")
    name = "".join(letter for letter in merchant.upper() if letter.isascii())[:25] or "LOJA DE TESTE"
    text = (
        _field("00", "01") + _field("26", key) + _field("52", "0000") + _field("53", "986")
        + _field("54", f"{amount // 100}.{amount % 100:02d}") + _field("58", "BR") + _field("59", name)
        + _field("60", "SAO PAULO") + _field("62", _field("05", reference[-25:])) + "6304"
    )  # fmt: skip
    return f"{text}{crc16(text.encode()):04X}"


def _field(identifier: str, value: str) -> str:
    return f"{identifier}{len(value):02d}{value}"


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE, the last field of every Pix code."""
    value = 0xFFFF
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = ((value << 1) ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value


def boleto_due(now: int, days: int) -> int:
    """The due time: 23:59 in São Paulo, `days` after today, in seconds since 1970."""
    day = datetime.fromtimestamp(now, UTC).astimezone(SAO_PAULO) + timedelta(days=days)
    return int(day.replace(hour=23, minute=59, second=0, microsecond=0).timestamp())


def boleto_day(due: int) -> date:
    """The day in São Paulo until which a boleto can be paid."""
    return datetime.fromtimestamp(due, UTC).astimezone(SAO_PAULO).date()


def boleto_number(*, amount: int, due: int, serial: int) -> str:
    """The number to type ("linha digitável") without dots: three fields, a check digit, due date and amount."""
    free = f"{serial:025d}"[-25:]
    factor = (boleto_day(due) - FACTOR_1000).days + 1000
    tail = f"{max(1000, min(factor, 9999)):04d}{amount:010d}"
    bank = f"{NO_BANK}9"
    fields = [bank + free[:5], free[5:15], free[15:]]
    return "".join(field + _modulo10(field) for field in fields) + _modulo11(bank + tail + free) + tail


def spaced_boleto(number: str) -> str:
    groups = [number[0:5], number[5:10], number[10:15], number[15:21], number[21:26], number[26:32]]
    return "{}.{} {}.{} {}.{} ".format(*groups) + f"{number[32]} {number[33:]}"


def _modulo10(digits: str) -> str:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        product = int(digit) * (2 if position % 2 == 0 else 1)
        total += product // 10 + product % 10
    return str(-total % 10)


def _modulo11(digits: str) -> str:
    total = sum(int(digit) * (2 + position % 8) for position, digit in enumerate(reversed(digits)))
    check = 11 - total % 11
    return str(check if 1 < check < 10 else 1)  # noqa: PLR2004 (0, 1, 10 and 11 are written as 1)
