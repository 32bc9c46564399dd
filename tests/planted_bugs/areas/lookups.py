"""Bugs in look-ups, quotes, batches and the list of accounts."""

from tests.planted_bugs.bug import Bug

LOOKUPS = (
    Bug(
        "a look-up returns entries that are no consumptions",
        "consumptions:_found",
        'if entry is None or entry.type != "consumption":',
        "if entry is None:",
        ("functions/test_looking_up",),
    ),
    Bug(
        "a look-up fails for the key of a purchase",
        "find_by_key",
        'if claim is None or "number" not in claim:',
        "if claim is None:",
        ("functions/test_looking_up",),
    ),
    Bug(
        "a missing account looks like a missing consumption",
        "consumptions:_found",
        "read_tail(deps.table, account_id)",
        "pass",
        ("functions/test_looking_up",),
    ),
    Bug(
        "an id is read without its kind",
        "CONSUMPTION_ID",
        'r"con_([0-9]{12})"',
        'r"[a-z]{3}_([0-9]{12})"',
        ("functions/test_looking_up",),
    ),
    Bug(
        "a quote ignores expiries that no entry records yet",
        "core:quote",
        "entry = apply(account, debit, catalog=catalog, now=now)[-1]",
        "entry = apply(account, debit, catalog=catalog, now=account.at)[-1]",
        ("functions/test_quotes",),
    ),
    Bug(
        "a quote counts what the account has as missing",
        "quote_response",
        "refusal.needed - refusal.available if refusal else 0",
        "refusal.needed if refusal else 0",
        ("functions/test_quotes",),
    ),
    Bug(
        "a quote's units of quota are its quantity",
        "core:quote",
        "return Quote(credits=-entry.credits, quota=-entry.quota, draws=entry.draws)",
        "return Quote(credits=-entry.credits, quota=debit.quantity, draws=entry.draws)",
        ("functions/test_quotes",),
    ),
    Bug(
        "a batch forgets what its own items have spent",
        "debiting:add",
        "self.account = entry.after",
        "",
        ("functions/test_batches",),
    ),
    Bug(
        "a key twice in a batch has two effects",
        "debiting:_compose",
        "effect = part.effects.get(keyed.key) or request.effects.get(keyed.key)",
        "effect = request.effects.get(keyed.key)",
        ("functions/test_batches",),
    ),
    Bug(
        "an item that can't be met stops the others",
        "_compose",
        """
        except Refused as refused:
            part.outcomes.append(refused)
            continue
        """,
        """
        except Refused as refused:
            part.outcomes += [refused] * (len(request.debits) - len(part.outcomes))
            break
        """,
        ("functions/test_batches",),
    ),
    Bug(
        "a batch's replay is not compared with its request",
        "_outcome_of",
        "if effect.request_hash != request_hash(keyed.debit) or entry is None or not has_texts_of(entry, keyed.debit):",
        "if entry is None:",
        ("functions/test_batches",),
    ),
    Bug(
        "a refused item of a batch isn't looked up",
        "append_each",
        "earlier = find_effects(table, account_id, refused)",
        "earlier = find_effects(table, account_id, ())",
        ("store/test_batches",),
    ),
    Bug(
        "a batch's transaction has room for everything",
        "has_room",
        "return used + writes <= MAX_WRITES and self.size + size <= MAX_BYTES",
        "return True",
        ("store/test_batches",),
    ),
    Bug(
        "a batch's bytes are not counted",
        "debiting:add",
        "self.size += size",
        "",
        ("store/test_batches",),
    ),
    Bug(
        "the bytes of a batch's first debit are not counted",
        "debiting:add",
        "self.size = self.size or bytes_of_writes(self.draft.entries, self.claims.values(), salt)",
        "self.size = self.size or 1",
        ("store/test_batches",),
    ),
    Bug(
        "a batch of items that are all invalid needs no account",
        "append_each",
        "tail: Tail | None = read_tail(table, account_id)",
        "tail: Tail | None = read_tail(table, account_id) if debits else None",
        ("functions/test_batches",),
    ),
    Bug(
        "a malformed item refuses the whole batch",
        "batches:_item_of",
        "except InvalidRequest as invalid:\n        return invalid",
        "except InvalidRequest:\n        raise",
        ("functions/test_batches",),
    ),
    Bug(
        "claims of a batch come second to a lost number",
        "store:commit",
        "any(name.startswith(CLAIM) for name in failed.existing)",
        "CLAIM in failed.existing",
        ("store/test_batches",),
    ),
    Bug(
        "a new account isn't listed",
        "put_account",
        "also = {PROFILE: new_profile_put(account_id, profile), LISTED: listed_put(account_id)}",
        "also = {PROFILE: new_profile_put(account_id, profile)}",
        ("functions/test_account_list",),
    ),
    Bug(
        "a page of accounts begins with the last one of the page before",
        "read_account_ids",
        'first=after + "\\x00"',
        "first=after",
        ("functions/test_account_list",),
    ),
    Bug(
        "the list of accounts shows expired credits",
        "use_cases:_listed",
        "account_now(table, entry, catalog=catalog, now=now).account",
        "entry.after",
        ("functions/test_account_list",),
    ),
    Bug(
        "a token for one account lists all of them",
        "accounts:show_all",
        "caller_for_every_account(request)",
        "caller_of(request)",
        ("functions/test_account_list",),
    ),
    Bug(
        "the last full page of accounts has a cursor",
        "list_accounts",
        "len(ids) > limit",
        "len(ids) >= limit",
        ("functions/test_account_list",),
    ),
    Bug(
        "the verifier doesn't miss a row in the list",
        "account_audit:_follow",
        "if entry.number == 1 and lookup.row(keys.listed(audit.account)) is None:",
        "if False:",
        ("store/test_verifier",),
    ),
    Bug(
        "the verifier accepts a listed account that isn't there",
        "_check_listed",
        "if lookup.row(keys.entry(audit.account, 1)) is None or item != keys.listed(audit.account):",
        "if item != keys.listed(audit.account):",
        ("store/test_verifier",),
    ),
)
