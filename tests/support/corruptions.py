"""Changes that somebody with access to the table could make: of rows, of attributes, of fields.

Each corruption is a name and a table that was changed in that one way. Rows are as the wire has them: binary in base64.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from prepaid.store.items import CHECKSUM, ERASED, GENESIS_HASH, cancellation_request_hash, chain_hash, checksum
from tests.support.store_driver import Stored

type Key = tuple[str, str]
type Corruption = tuple[str, Stored]
type Path = tuple[str | int, ...]


def removed(items: Stored) -> Iterator[Corruption]:
    for key in sorted(items):
        yield f"removed {key}", {other: item for other, item in items.items() if other != key}


def attributes(items: Stored) -> Iterator[Corruption]:
    """Each attribute of each row changed or removed, and one added; only of the first row of each shape."""
    seen: set[tuple[Any, ...]] = set()
    for key, item in sorted(items.items()):
        for name in (*(attribute for attribute in item if attribute not in ("PK", "SK")), "more"):
            shape = (kind(key, item), name)
            if shape in seen:
                continue
            seen.add(shape)
            if name == "more":
                yield f"{named(key, item)}: one added", {**items, key: {**item, "more": {"S": "x"}}}
                continue
            yield f"{named(key, item)}: {name} changed", {**items, key: {**item, name: otherwise(item[name])}}
            without = {attribute: value for attribute, value in item.items() if attribute != name}
            yield f"{named(key, item)}: {name} gone", {**items, key: without}


def fields(items: Stored, *, rehashed: bool) -> Iterator[Corruption]:
    """Each field of line and state of one entry of each shape; rehashed: with every later hash recomputed."""
    seen: set[tuple[Any, ...]] = set()
    for key, item in sorted(items.items()):
        if not key[1].startswith("ENTRY#"):
            continue
        for part in ("line", "state"):
            value = json.loads(item[part]["S"])
            for path, changed in variants(value):
                shape = (kind(key, item), part, tuple(0 if isinstance(step, int) else step for step in path), len(path))
                if shape in seen and path[-1] != 3:
                    continue
                seen.add(shape)
                text = json.dumps(changed, separators=(",", ":"), ensure_ascii=False)
                after = {**items, key: {**item, part: {"S": text}}}
                name = f"{part}.{'.'.join(map(str, path))} of {key} {json.loads(item['line']['S'])['type']}"
                yield name, rehash(after, key[0]) if rehashed else after


def resummed(items: Stored) -> Iterator[Corruption]:
    """Each attribute of a purchase in each state changed, with the checksum recomputed."""
    seen: set[tuple[Any, ...]] = set()
    for key, item in sorted(items.items()):
        for name in item:
            if (
                not key[1].startswith("PURCHASE#")
                or name in ("PK", "SK", CHECKSUM)
                or (item["state"]["S"], name) in seen
            ):
                continue
            seen.add((item["state"]["S"], name))
            changed = {**item, name: otherwise(item[name])}
            changed[CHECKSUM] = {"B": b64encode(checksum(changed)).decode()}
            yield f"{name} of a purchase that is {item['state']['S']}", {**items, key: changed}


def swapped(items: Stored) -> Iterator[Corruption]:
    entries = [key for key in sorted(items) if key[1].startswith("ENTRY#")]
    for first, second in pairwise(entries):
        if first[0] == second[0]:
            yield (
                f"swapped {first} {second}",
                {**items, first: under(first, items[second]), second: under(second, items[first])},
            )


def copied(items: Stored) -> Iterator[Corruption]:
    """Copies of rows under new keys: another number, account, key, day, id."""
    for key, item in sorted(items.items()):
        for place in _in_a_ledger(key) or _beside_the_ledgers(key):
            yield f"copied {key} to {place}", {**items, place: under(place, item)}


def _in_a_ledger(key: Key) -> list[Key]:
    """Other places for a row of an account, or one that points into its ledger."""
    partition, sort = key
    if sort.startswith("ENTRY#"):
        return [(partition, f"ENTRY#{int(sort[6:]) + 500:012d}"), ("ACCOUNT#other", sort), (partition, f"{sort}0")]
    if sort.startswith("PURCHASE#"):
        return [(partition, f"{sort}b"), ("ACCOUNT#idle", sort)]
    if sort.startswith("REVERSED#"):
        return [(partition, f"REVERSED#{int(sort[9:]) + 1:012d}"), ("ACCOUNT#idle", sort), (partition, f"{sort}0")]
    if partition.startswith("CLAIM#"):
        _, account, name = partition.split("#", 2)
        return [(f"CLAIM#{account}#{name}b", sort), (f"CLAIM#other#{name}", sort), (partition, "CLAIM2")]
    if partition.startswith("DUE#"):
        account, lot = sort.split("#")
        places = [(f"{partition[:-1]}{(int(partition[-1]) + 1) % 8}", sort), (partition, f"{account}#lot_{1:012d}")]
        return [*places, (partition.replace("#20", "#21"), sort), (partition, f"other#{lot}")]
    return []


def _beside_the_ledgers(key: Key) -> list[Key]:
    """Other places for any other row."""
    partition, sort = key
    match partition.split("#")[0]:
        case "PAYMENT":
            return [(f"{partition}b", sort)]
        case "CATALOG":
            return [(partition, "V#000009")]
        case "PENDING_CHECK":
            return [(partition, f"{sort}b"), (partition, f"2030{sort[4:]}"), (f"{partition}S", sort)]
        case "QUARANTINE" | "ACCOUNTS":
            return [(partition, f"{sort}b"), (f"{partition}b", sort)]
        case "SESSION" | "PORTAL" | "PORTAL_LINK" | "SWEEP" | "RECONCILIATION":
            return [(partition, f"2{sort}"), (f"x{partition}", sort)]
        case _:
            return [("ACCOUNT#other", sort), ("PROFILES", sort)]


def redirected(items: Stored) -> Iterator[Corruption]:
    """Claims, payments and due rows that change places with another of their account, and keys that do."""
    rows = sorted(items)
    for prefix in ("CLAIM#acme", "CLAIM#zoo", "PAYMENT#"):
        chosen = [key for key in rows if key[0].startswith(prefix)]
        for first, second in pairwise(chosen):
            yield f"{first} leads where {second} does", {**items, first: under(first, items[second])}
            yield (
                f"{first} and {second} swapped",
                {**items, first: under(first, items[second]), second: under(second, items[first])},
            )
            new = (f"{first[0]}-renamed", first[1])
            renamed = {key: item for key, item in items.items() if key != first}
            yield f"{first} renamed", {**renamed, new: under(new, items[first])}


def cut_off(items: Stored, account: str, most: int) -> Iterator[Corruption]:
    """The newest entries gone, and all claims and due rows that name them."""
    entries = [key for key in sorted(items) if key[0] == f"ACCOUNT#{account}" and key[1].startswith("ENTRY#")]
    for count in range(1, min(most, len(entries)) + 1):
        first = len(entries) - count + 1
        kept = {key: item for key, item in items.items() if key not in entries[-count:]}
        kept = {
            key: item
            for key, item in kept.items()
            if not (key[0].startswith(f"CLAIM#{account}#") and int(item.get("number", {"N": "0"})["N"]) >= first)
            and not (key[1].startswith((f"{account}#lot_", f"{account}#hold_")) and int(key[1][-12:]) >= first)
        }
        yield f"{account} cut off before {first}", kept


def kind(key: Key, item: Any) -> tuple[Any, ...]:
    """The shape of a row. The verifier checks rows of one shape alike."""
    if key[1].startswith("ENTRY#"):
        line = json.loads(item["line"]["S"])
        owed, texts = line.get("owed", 0), item["texts"]["S"] if "texts" in item else None
        shape = (
            "lot" in line,
            owed > 0,
            owed < 0,
            "draws" in line,
            "returned" in line,
            "expired" in line,
            "key" in line,
            texts is None,
            (texts or "").startswith(ERASED),
        )
        return ("ENTRY", line["type"], *shape)
    if key[1].startswith("PURCHASE#"):
        return ("PURCHASE", item["state"]["S"])
    return (named(key, item), "purchase" in item, "opened" in item)


def named(key: Key, item: Any) -> str:
    """The name of a row's kind."""
    partition, sort = key[0].split("#")[0], key[1].split("#")[0]
    name = sort if partition == "ACCOUNT" or sort == "FAILED" else partition
    return f"{_claimed(item)}'s CLAIM" if name == "CLAIM" and "number" not in item and item else name


def _claimed(item: Any) -> str:
    """What the claim's request did, if it made no entry."""
    if "nonce" in item:
        return "session" if "code_version" in item else "link"
    of_a_cancellation = cancellation_request_hash(item["purchase"]["S"])
    return "cancellation" if b64decode(item["request_hash"]["B"]) == of_a_cancellation else "purchase"


def under(key: Key, item: Any) -> Any:
    return {**item, "PK": {"S": key[0]}, "SK": {"S": key[1]}}


def otherwise(value: Any) -> Any:
    """Another value of the same type."""
    [(type_, content)] = value.items()
    match type_:
        case "N":
            return {"N": str(int(content) + 1)}
        case "BOOL":
            return {"BOOL": not content}
        case "B":
            raw = b64decode(content)
            return {"B": b64encode(bytes([raw[0] ^ 1]) + raw[1:]).decode()}
        case "L" | "M":
            return {type_: type(content)()}
        case "S" if content.startswith(("{", "[")):
            # The same value in another spelling.
            spaced = content.replace(":", ": ", 1).replace(",", ", ", 1)
            return {"S": spaced if spaced != content else f"{content} "}
        case _:
            return {type_: f"{content}x"}


def variants(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The value with one of its leaves changed, for each of them; and with one list longer or shorter."""
    whole = value
    for place in _places(value):
        leaf = _at(whole, place)
        if isinstance(leaf, list):
            if leaf:
                yield (*place, "shorter"), _with(whole, place, leaf[:-1])
                yield (*place, "longer"), _with(whole, place, [*leaf, leaf[-1]])
        elif isinstance(leaf, bool):
            yield place, _with(whole, place, not leaf)
        elif isinstance(leaf, int):
            yield place, _with(whole, place, leaf + 1)
            yield (*place, "less"), _with(whole, place, leaf - 1)
        elif leaf is not None and " " in leaf:
            # A lot or a draw.
            words = leaf.split(" ")
            for number, word in enumerate(words):
                changed = [*words[:number], changed_word(word), *words[number + 1 :]]
                yield (*place, "word", str(number)), _with(whole, place, " ".join(changed))
            yield (*place, "shorter"), _with(whole, place, " ".join(words[:-1]))
            yield (*place, "longer"), _with(whole, place, f"{leaf} {words[-1]}")
        else:
            yield place, _with(whole, place, f"{leaf}x")


def changed_word(word: str) -> str:
    """Another word of the same kind: a count, a letter or a time."""
    if word.isdigit():
        return str(int(word) + 1)
    return {"p": "g", "g": "p", "a": "g"}.get(word) or f"{word[:-1]}{'0' if word[-1] != '0' else '1'}"


def rehash(items: Stored, partition: str) -> Stored:
    """The same with recomputed hashes, as an attacker who knows the format would do."""
    after, previous = dict(items), GENESIS_HASH
    for key in sorted(key for key in items if key[0] == partition and key[1].startswith("ENTRY#")):
        item = after[key]
        previous = chain_hash(previous, *key, item["line"]["S"], item["state"]["S"])
        after[key] = {**item, "hash": {"B": b64encode(previous).decode()}}
    return after


def _places(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _places(child, (*path, name))
    elif isinstance(value, list):
        yield path
        for place, child in enumerate(value):
            yield from _places(child, (*path, place))
    else:
        yield path


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _with(value: Any, path: Path, leaf: Any) -> Any:
    if not path:
        return leaf
    if isinstance(value, dict):
        return {name: _with(child, path[1:], leaf) if name == path[0] else child for name, child in value.items()}
    return [_with(child, path[1:], leaf) if place == path[0] else child for place, child in enumerate(value)]
