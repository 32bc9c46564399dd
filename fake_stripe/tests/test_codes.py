"""Pix codes and boleto numbers are valid in form, checked against other ways of computing them."""

import binascii
from datetime import UTC, datetime

import pytest

from fake_stripe import vouchers


def fields(code: str) -> dict[str, str]:
    found, place = {}, 0
    while place < len(code):
        length = int(code[place + 2 : place + 4])
        found[code[place : place + 2]] = code[place + 4 : place + 4 + length]
        place += 4 + length
    return found


def test_a_pix_code_consists_of_fields_and_a_checksum() -> None:
    code = vouchers.pix_code(amount=123_456, reference="pi_abc", merchant="Loja São João")

    parts = fields(code)
    assert parts["54"] == "1234.56"
    assert parts["53"] == "986"
    assert parts["59"].isascii()
    assert fields(parts["26"])["00"] == "br.gov.bcb.pix"
    assert int(parts["63"], 16) == binascii.crc_hqx(code[:-4].encode(), 0xFFFF)


def test_check_digits_match_those_of_a_published_boleto() -> None:
    # The example of the banks' own layout: 00190.50095 40144.816069 06809.350314 3 37370000000100
    assert vouchers._modulo10("001905009") == "5"
    assert vouchers._modulo10("4014481606") == "9"
    assert vouchers._modulo10("0680935031") == "4"
    assert vouchers._modulo11("0019373700000001000500940144816060680935031") == "3"


def test_a_boleto_number_contains_its_amount_and_due_day() -> None:
    due = int(datetime(2026, 6, 30, 23, 59, tzinfo=vouchers.SAO_PAULO).timestamp())

    number = vouchers.boleto_number(amount=49_900, due=due, serial=7)

    assert len(number) == 47
    assert number[33:] == "1493" + "0000049900"
    assert vouchers.spaced_boleto(number).replace(".", "").replace(" ", "") == number


@pytest.mark.parametrize(("hour", "day"), [(2, 14), (3, 15)])
def test_a_boleto_is_due_at_the_end_of_a_day_in_sao_paulo(hour: int, day: int) -> None:
    now = int(datetime(2026, 3, 15, hour, tzinfo=UTC).timestamp())

    due = datetime.fromtimestamp(vouchers.boleto_due(now, 0), UTC).astimezone(vouchers.SAO_PAULO)

    assert (due.day, due.hour, due.minute) == (day, 23, 59)
