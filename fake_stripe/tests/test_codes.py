"""Pix codes, boleto numbers and QR codes: right in form, checked against other ways of computing them."""

import binascii
from datetime import UTC, datetime

import pytest

from fake_stripe import qr, vouchers


def fields(code: str) -> dict[str, str]:
    found, place = {}, 0
    while place < len(code):
        length = int(code[place + 2 : place + 4])
        found[code[place : place + 2]] = code[place + 4 : place + 4 + length]
        place += 4 + length
    return found


def test_a_pix_code_is_made_of_fields_and_ends_in_its_checksum() -> None:
    code = vouchers.pix_code(amount=123_456, reference="pi_abc", merchant="Loja São João")

    parts = fields(code)
    assert parts["54"] == "1234.56"
    assert parts["53"] == "986"
    assert parts["59"].isascii()
    assert fields(parts["26"])["00"] == "br.gov.bcb.pix"
    assert int(parts["63"], 16) == binascii.crc_hqx(code[:-4].encode(), 0xFFFF)


def test_a_boletos_check_digits_are_those_of_a_known_one() -> None:
    # The example of the banks' own layout: 00190.50095 40144.816069 06809.350314 3 37370000000100
    assert vouchers._modulo10("001905009") == "5"
    assert vouchers._modulo10("4014481606") == "9"
    assert vouchers._modulo10("0680935031") == "4"
    assert vouchers._modulo11("0019373700000001000500940144816060680935031") == "3"


def test_a_boleto_number_holds_its_amount_and_day() -> None:
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


def test_a_qr_code_reads_back_as_its_text() -> None:
    for text in ("A", "pix" * 20, "x" * 140, "é" * 150):
        assert read(qr.matrix(text.encode())) == text.encode()


def test_too_much_for_a_qr_code_is_refused() -> None:
    assert len(qr.matrix(b"x" * 412)) == 77
    with pytest.raises(ValueError, match="too many"):
        qr.matrix(b"x" * 413)


def test_error_correction_is_that_of_the_standards_example() -> None:
    # ISO/IEC 18004, annex I: version 1-M, "01234567".
    data = bytes.fromhex("10 20 0C 56 61 80 EC 11 EC 11 EC 11 EC 11 EC 11")

    assert qr._reed_solomon(data, 10) == bytes.fromhex("A5 24 D4 C1 ED 36 C7 87 2C 55")


def read(cells: list[list[int]]) -> bytes:
    """A reader for undamaged codes: mask from the format bits, then the zigzag, then the blocks."""
    version = (len(cells) - 17) // 4
    format_bits = sum(cells[y][8] << place for place, y in enumerate((0, 1, 2, 3, 4, 5, 7, 8)))
    format_bits |= cells[8][7] << 8 | sum(cells[8][x] << place for place, x in enumerate(range(5, -1, -1), 9))
    format_bits ^= 0x5412
    assert format_bits >> 13 == 0, "level M"
    mask = qr.MASKS[format_bits >> 10 & 7]
    blank = qr._Drawing(version)
    bits = "".join(str(cells[y][x] ^ int(mask(x, y))) for x, y in blank._zigzag() if not blank.fixed[y][x])
    words = [int(bits[place : place + 8], 2) for place in range(0, len(bits) - 7, 8)]
    blocks = qr.BLOCKS[version - 1]
    short, longer = divmod(qr._capacity(version), blocks)
    parts: list[list[int]] = [[] for _ in range(blocks)]
    remaining = iter(words)
    for place in range(short + 1):
        for number in range(blocks):
            if place < short or number >= blocks - longer:
                parts[number].append(next(remaining))
    stream = "".join(f"{byte:08b}" for part in parts for byte in part)
    assert stream[:4] == "0100"
    header = 12 if version < 10 else 20
    length = int(stream[4:header], 2)
    return bytes(int(stream[header + 8 * place : header + 8 * place + 8], 2) for place in range(length))
