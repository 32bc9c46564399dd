"""Bugs in the verifier."""

from tests.planted_bugs.bug import Bug

VERIFIER = (
    Bug(
        "the verifier forgets the entry before a pause",
        "audit_from_json",
        "audit.entry = decoded(audit.last)",
        "",
        ("test_a_pass_saved_after_every_page_finds_the_same",),
    ),
    Bug(
        "the verifier forgets the mark at a pause",
        "audit_to_json",
        '"mark": [audit.mark.number, audit.mark.hash.hex()] if audit.mark else None,',
        '"mark": None,',
        ("test_a_saved_pass_keeps_the_verified_mark",),
    ),
    Bug(
        "the verifier counts claims of purchases only",
        "_check_claim",
        'lookup.tally.add_claim(f"{audit.account}#{number}")',
        "pass",
        ("test_nothing_is_found_in_rows_the_service_wrote",),
    ),
    Bug(
        "the verifier doesn't know that a void may state no number",
        "request_hashes",
        "if all(lot.number != void.lot for lot in entry.after.lots):",
        "if void.credits is None:",
        ("test_nothing_is_found_in_rows_the_service_wrote",),
    ),
    Bug(
        "the verifier asks for no claim of a void",
        "TYPES_WITH_A_KEY",
        '(*USES, "void", "erasure", *(LOT_KIND_OF.keys() - {"purchase"}))',
        '(*USES, "erasure", *(LOT_KIND_OF.keys() - {"purchase"}))',
        ("test_nothing_is_found_in_rows_the_service_wrote",),
    ),
    Bug(
        "the verifier doesn't ask for claims",
        "_follow",
        'lookup.tally.add_key(f"{audit.account}#{entry.number}")',
        "pass",
        ("test_nothing_is_found_in_rows_the_service_wrote",),
    ),
    Bug(
        "the verifier doesn't compare what was taken back",
        "_purchase_facts",
        "trail.net, purchase.revoked - purchase.expired_unspent",
        "0, 0",
        ("test_an_invented_refund_is_found",),
    ),
    Bug(
        "the verifier doesn't compare a purchase with the catalog",
        "_read_purchase",
        "if not lookup.was_on_sale(purchase):",
        "if purchase.credits < 0:",
        ("test_a_purchase_with_an_adjusted_sum_is_found_by_its_entries",),
    ),
    Bug(
        "the verifier counts a finding and doesn't report it",
        "checking:report",
        "context.on_finding(finding)",
        "pass",
        ("test_a_removed_account_is_found",),
    ),
    Bug(
        "the verifier compares lines and not states",
        "_compare",
        'if all(audit.last[part]["S"] == encoded[part] for part in PARTS):',
        'if all(audit.last[part]["S"] == encoded[part] for part in ("line",)):',
        ("test_a_pass_saved_after_every_page_finds_the_same",),
    ),
    Bug(
        "the verifier believes a refund that took nothing",
        "trail_after",
        "low = 0 if high else 1",
        "low = 0",
        ("test_a_refund_that_revoked_too_little_is_found",),
    ),
    Bug(
        "the verifier misses a pending check only once it is due",
        "_read_purchase",
        "purchase.created_at + PAYABLE > lookup.now + SOON",
        "purchase.created_at + PAYABLE < lookup.now + SOON",
        ("test_a_pending_check_removed_too_early_is_found",),
    ),
    Bug(
        "a mark that can't be read stops the verifier",
        "open_audit",
        "except (KeyError, ValueError):",
        "except ArithmeticError:",
        ("test_verified_marks_and_a_saved_pass_are_checked_too",),
    ),
    Bug(
        "a table that was verified is never verified again",
        "_is_due",
        "return not last.started_at <= now < last.started_at + every",
        "return not last.started_at <= now",
        ("functions/test_verify",),
    ),
    Bug(
        "an unfinished verification keeps no place",
        "read_pages",
        "finally: keep(place)",
        """
        finally:
            if running.done:
                keep(place)
        """,
        ("functions/test_verify",),
    ),
    Bug(
        "what is new in an account is never verified",
        "_is_unchanged",
        "if mark is None: return False",
        "if mark is not None: return True",
        ("test_recent_pass",),
    ),
    Bug(
        "a gap after the mark hides newer entries",
        "_is_unchanged",
        "last = keys.entry_sort(mark.number), keys.LAST_ENTRY",
        "last = keys.entry_sort(mark.number), keys.entry_sort(mark.number + 1)",
        ("test_recent_pass",),
    ),
    Bug(
        "an audit is continued whatever became of its newest entry",
        "_stored_audit",
        "if entry is None or any(entry.get(name) != value for name, value in audit.last.items()):",
        "if entry is None:",
        ("test_recent_pass",),
    ),
    Bug(
        "a continued audit forgets the account's mark",
        "_stored_audit",
        "audit.mark = new_audit.mark",
        "audit.mark = None",
        ("test_recent_pass",),
    ),
    Bug(
        "an audit is kept after its purchases were checked",
        "read_ledger_row",
        """
        if item["SK"]["S"] == PROFILE and audit.last:
            audit.resumable = pack_audit(audit)
        check_row(read, audit, item, lookup)
        """,
        """
        check_row(read, audit, item, lookup)
        if audit.last:
            audit.resumable = pack_audit(audit)
        """,
        ("functions/test_verify",),
    ),
    Bug(
        "the recent pass ends with the first accounts",
        "_compare_accounts",
        "(accounts[-1], False) if accounts",
        "(accounts[-1], True) if accounts",
        ("test_recent_pass",),
    ),
    Bug(
        "the recent pass never begins",
        "_run_recent",
        "if recent.done and _is_due(recent, RECENT_EVERY, context.now()):",
        "if recent.done and _is_due(recent, context.whole_every, context.now()):",
        ("functions/test_verify",),
    ),
    Bug(
        "the whole table is verified once and never again",
        "_run_whole",
        "if whole.done and _is_due(whole, context.whole_every, now):",
        "if whole.done and packed is None:",
        ("functions/test_verify",),
    ),
    Bug(
        "a recent pass that never finishes is silent",
        "run_scheduled",
        "behind=max(result.behind for result in results),",
        "behind=results[1].behind,",
        ("functions/test_verify",),
    ),
    Bug(
        "a pass is never behind",
        "running:_run",
        "context.now() - running.started_at",
        "timedelta(0)",
        ("functions/test_verify",),
    ),
    Bug(
        "a restored table's last hour isn't verified",
        "lookup_of",
        "cutoff=running.started_at - context.settled",
        "cutoff=running.started_at - SETTLED",
        ("test_restore",),
    ),
)
