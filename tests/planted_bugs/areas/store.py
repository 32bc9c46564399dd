"""Bugs in reads and writes of the table."""

from tests.planted_bugs.bug import Bug

STORE = (
    Bug(
        "two appends on one entry",
        "_entry_puts",
        'puts[name] = {"Item": item, "ConditionExpression": IF_ABSENT}',
        'puts[name] = {"Item": item}',
        ("test_interleavings", "test_append"),
    ),
    Bug(
        "a claim is written over",
        "claim_put",
        '"ConditionExpression": IF_ABSENT,',
        "",
        ("test_append",),
    ),
    Bug(
        "no claim is written",
        "append",
        "claim = _claim(draft, operation, idempotency_key)",
        "claim = NO_PUTS",
        ("test_append",),
    ),
    Bug(
        "a refusal is raised before the claim is read",
        "append",
        "except Refused: earlier = find_replay(table, account_id, operation, idempotency_key)",
        """
        except Refused:
            raise
            earlier = None
        """,
        ("test_append",),
    ),
    Bug(
        "another request with the key is a replay",
        "find_replay",
        """
        if claim["request_hash"]["B"] != request_hash(request):
            raise IdempotencyKeyReused
        """,
        "",
        ("test_append",),
    ),
    Bug(
        "a lost race is an error instead of a retry",
        "commit",
        """
        if ENTRY not in failed.existing or any(name.startswith(CLAIM) for name in failed.existing):
            raise
        """,
        "raise",
        ("test_interleavings", "test_append"),
    ),
    Bug(
        "a lot has no due row",
        "ledger:_due_item",
        "if not entry.lot and not entry.lapses_at:",
        'if not entry.lapses_at and not (entry.lot and entry.type == "purchase"):',
        ("test_append", "store/test_sweep"),
    ),
    Bug(
        "the newest entry is read eventually",
        "query",
        "ConsistentRead=True",
        "ConsistentRead=False",
        ("test_cost", "store/test_reading", "test_append"),
    ),
    Bug(
        "the chain forgets the entry before",
        "chain_hash",
        r'previous_hash + f"{partition}\n{sort}\n{line}\n{state}"',
        r'f"{partition}\n{sort}\n{line}\n{state}"',
        ("test_append",),
    ),
    Bug(
        "the caller is part of the request's hash",
        "_request_field_names",
        'left_out = NOT_IN_REQUEST.get(operation, frozenset({"actor"}))',
        "left_out = NOT_IN_REQUEST.get(operation, frozenset())",
        ("test_append",),
    ),
    Bug(
        "a throttled transaction is a failure",
        "TRANSIENT_CODES",
        '"ThrottlingException",',
        "",
        ("test_faults",),
    ),
    Bug(
        "a conflict of transactions is a failure",
        "TRANSIENT_CODES",
        '"TransactionConflict",',
        "",
        ("test_faults",),
    ),
    Bug(
        "silence is a failure",
        "translate_errors",
        "except (EndpointError, HTTPClientError) as error:",
        "except EndpointError as error:",
        ("test_faults",),
    ),
    Bug(
        "the deadline ends no retries",
        "attempts",
        """
        if deadline.passed():
            return
        yield attempt
        pause = deadline.jitter() * min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(attempt, 10))
        if deadline.clock() + pause >= deadline.at:
            return
        """,
        """
        yield attempt
        pause = deadline.jitter() * min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(attempt, 10))
        """,
        ("store/test_deadline",),
    ),
    Bug(
        "a pause goes past the deadline",
        "attempts",
        """
        if deadline.clock() + pause >= deadline.at:
            return
        """,
        "",
        ("store/test_deadline",),
    ),
    Bug(
        "a passed deadline allows one attempt",
        "attempts",
        "if deadline.passed():",
        "if attempt > 0 and deadline.passed():",
        ("store/test_deadline",),
    ),
    Bug(
        "a secret is read after the deadline",
        "_text_of_age",
        "for _ in attempts(deadline):",
        "for _ in range(3):",
        ("test_silent_secrets",),
    ),
    Bug(
        "the deadline restarts with each call",
        "_retry",
        "attempts(table.deadline)",
        "attempts(within(table, 3.0).deadline)",
        ("store/test_deadline",),
    ),
    Bug(
        "a lost claim is taken for a rival's append",
        "commit",
        "if ENTRY not in failed.existing or any(name.startswith(CLAIM) for name in failed.existing):",
        "if ENTRY not in failed.existing:",
        ("test_a_claim_that_is_taken_is_read_before_another_write",),
    ),
    Bug(
        "a change of an account is written over another one's plan",
        "_change_account",
        "raise ConditionFailed({})",
        "",
        ("test_a_patch_names_no_plan_that_another_change_replaces",),
    ),
    Bug(
        "two changes of a profile mix",
        "profile_put",
        """
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {":version": {"N": str(over.version)}},
        """,
        "",
        ("test_interleavings", "test_append"),
    ),
    Bug(
        "two successors of one catalog are both accepted",
        "write_catalog",
        """
            "ConditionExpression": IF_ABSENT,
        },
        # Closes the race with a still newer version: CURRENT only ever moves on by one.
        "current": {
            "Item": checksummed({**keys.CATALOG, **body}),
            "ConditionExpression": "attribute_not_exists(PK) OR version = :previous",
            "ExpressionAttributeValues": {":previous": {"N": previous}},
        """,
        """
        },
        "current": {
            "Item": checksummed({**keys.CATALOG, **body}),
        """,
        ("test_one_of_parallel_catalog_replacements_succeeds",),
    ),
    Bug(
        "a warm function never reads its catalog again",
        "CatalogCache.__call__",
        "if self._catalog is None or self._clock() - self._read_at >= self._seconds:",
        "if self._catalog is None:",
        ("store/test_catalog",),
    ),
    Bug(
        "a stale catalog counts a newer account",
        "catalog_at_least",
        """
        if catalog.version >= version:
            return catalog
        """,
        "return catalog",
        ("store/test_catalog", "store/test_accounts", "test_append"),
    ),
    Bug(
        "a checksum leaves the language out",
        "checksum",
        "attributes = {name: value for name, value in item.items() if name != CHECKSUM}",
        'attributes = {name: value for name, value in item.items() if name not in (CHECKSUM, "language")}',
        ("test_any_changed_removed_or_added_attribute_is_found",),
    ),
    Bug(
        "keys that a batch leaves out are forgotten",
        "_get_batch",
        """
        if request:
            raise Transient
        """,
        "",
        ("test_left_out_keys",),
    ),
    Bug(
        "a batch with keys left out is requested as a whole again",
        "_get_batch",
        """
        request.clear()
        request.update(response.get("UnprocessedKeys") or {})
        if request:
            raise Transient
        """,
        """
        if response.get("UnprocessedKeys"):
            raise Transient
        """,
        ("test_left_out_keys",),
    ),
    Bug(
        "a silent Secrets Manager is asked at every call",
        "Secret._text_of_age",
        """
        if self._text is None:
            continue
        """,
        """
        if self._text is None:
            continue
        return self._text
        """,
        ("test_silent_secrets",),
    ),
)
