"""An unfinished audit as JSON, so that another run or the next recent pass can continue it."""

import json
import zlib
from typing import Any

from prepaid.store.dynamodb import Item
from prepaid.store.items import lot_from_text, lot_to_text
from prepaid.store.verification import VerifiedUpTo
from prepaid.use_cases.verifying.account_audit import AccountAudit, decoded
from prepaid.use_cases.verifying.replay import PurchaseTrail


def audit_to_json(audit: AccountAudit) -> dict[str, Any]:
    """The audit's progress, so that another process can continue. Of its findings, only whether there are any."""
    trails = {
        purchase: [
            trail.grants, [lot_to_text(lot) for lot in trail.lots], trail.net, trail.debt, trail.expired,
            trail.expired_unspent,
        ]
        for purchase, trail in audit.trails.items()
    }  # fmt: skip
    return {
        "account": audit.account,
        "mark": [audit.mark.number, audit.mark.hash.hex()] if audit.mark else None,
        "last": {**_texts(audit.last), "hash": bytes(audit.last["hash"]["B"]).hex()} if audit.last else None,
        "trails": trails,
        "reversed": list(audit.reversed.items()),
        "code_version": audit.code_version,
        "has_profile": audit.has_profile,
        "suspicious": bool(audit.findings),
    }


def audit_from_json(value: dict[str, Any]) -> AccountAudit:
    """The audit from audit_to_json's value. One finding replaces all earlier ones: the account is rechecked anyway."""
    account, mark = value["account"], value["mark"]
    audit = AccountAudit(
        account, mark=VerifiedUpTo(account=account, number=mark[0], hash=bytes.fromhex(mark[1])) if mark else None
    )
    if value["last"]:
        last = value["last"]
        texts = {name: {"S": last[name]} for name in ("PK", "SK", "line", "state")}
        audit.last = {**texts, "hash": {"B": bytes.fromhex(last["hash"])}}
        audit.entry = decoded(audit.last)
    for purchase, (grants, rows, net, debt, expired, expired_unspent) in value["trails"].items():
        lots = tuple(lot_from_text(row) for row in rows)
        audit.trails[purchase] = PurchaseTrail(
            grants=grants,
            lots=lots,
            net=net,
            debt=debt,
            expired=expired,
            expired_unspent=(expired_unspent[0], expired_unspent[1]),
        )
        audit.owners |= {lot.id: purchase for lot in lots}
    audit.reversed = dict(value["reversed"])
    audit.code_version, audit.has_profile = value["code_version"], value["has_profile"]
    if value["suspicious"]:
        audit.finding("unreadable", "before the pause")
    return audit


def pack_audit(audit: AccountAudit) -> bytes:
    """The audit as it is after the newest entry, to store it."""
    return zlib.compress(json.dumps(audit_to_json(audit)).encode())


def unpack_audit(packed: bytes) -> AccountAudit:
    """The audit from pack_audit's bytes. Raises ValueError or LookupError for other bytes."""
    try:
        audit = audit_from_json(json.loads(zlib.decompress(packed)))
    except (zlib.error, AttributeError, TypeError) as error:
        raise ValueError("this is no audit") from error
    # Rows that come after the entries are read again.
    audit.code_version, audit.has_profile = 0, False
    return audit


def _texts(item: Item) -> dict[str, str]:
    return {name: item[name]["S"] for name in ("PK", "SK", "line", "state")}
