"""Bugs in the debits that wait for each other: each breaks one sentence of the rules in use_cases/debiting.py."""

from tests.planted_bugs.bug import Bug

CROWDS = (
    Bug(
        "a row is left over the tombstone in its place",
        "waiting:leave",
        'put(table, {"Item": row, "ConditionExpression": IF_ABSENT})',
        'put(table, {"Item": row})',
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a tombstone may be deleted at once",
        "waiting:row_of",
        "(now + ROW_TTL).timestamp()",
        "(now - timedelta(seconds=1)).timestamp()",
        ("test_every_interleaving_keeps_the_rules", "test_a_row_and_its_tombstone_stay_for_ten_minutes"),
    ),
    Bug(
        "a row is left although the key has its claim",
        "_append_part",
        "if single and not part.draft.rival: _read_effects(request)",
        "",
        ("test_a_retry_in_a_crowd_leaves_no_row",),
    ),
    Bug(
        "rows are read before the newest entry",
        "_take_turns",
        "waiting = [] if hurried else _read_waiting(request, newest, part.catalog.version)",
        """
        waiting = [] if hurried else _read_waiting(request, newest, part.catalog.version)
        newest = _read_newest(request, place, MAX_ROWS)
        part = _compose(request, newest.tail)
        if not part.claims:
            continue
        """,
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a waiting debit isn't judged alone",
        "debiting:_carry",
        "apply(part.draft.tail.entry.after, keyed.debit, catalog=part.catalog, now=keyed.now)",
        "",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a waiting debit isn't judged in turn",
        "debiting:_carry",
        "entries = apply(part.account, keyed.debit, catalog=part.catalog, now=keyed.now)",
        "entries = apply(part.draft.tail.entry.after, keyed.debit, catalog=part.catalog, now=keyed.now)",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a waiting debit is judged by the time of the one that carries it",
        "debiting:_read_waiting",
        "waiting = read_waiting(request.table, request.account_id, place=newest.first - 1)",
        """
        waiting = read_waiting(request.table, request.account_id, place=newest.first - 1)
        waiting = [replace(keyed, now=request.now) for keyed in waiting]
        """,
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a waiting debit is judged by another version of the catalog",
        "debiting:_read_waiting",
        "keyed.now > oldest and keyed.version == version",
        "keyed.now > oldest",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a refusal leaves its row",
        "_take_turns",
        "place_tombstone(request.table, row)",
        "",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "the newest entry isn't read again after the tombstone",
        "_take_turns",
        "row, newest = None, _read_newest(request, place, MAX_ROWS)",
        "row = None",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "the claim isn't read after the newest entry",
        "append_each",
        "isinstance(outcome, Refused) and keyed.key not in request.effects",
        "isinstance(outcome, Refused) and keyed.key not in request.effects and not request.own_rows",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a batch's refusal doesn't count what its own lost response spent",
        "_append_part",
        "if not part.claims and _is_refused_too_early(request, part):",
        "if False:",
        ("test_a_refusal_counts_what_a_lost_response_spent",),
    ),
    Bug(
        "a request that gives up leaves its row",
        "_append_part",
        "with suppress(Busy): place_tombstone(within(request.table, TOMBSTONE_SECONDS), row)",
        "pass",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "an old row is carried",
        "debiting:_read_waiting",
        "keyed.now > oldest and keyed.version == version",
        "keyed.version == version",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a row's age is by the time at which the request began",
        "debiting:time",
        "return self.now + timedelta(seconds=self.table.deadline.clock() - self.began)",
        "return self.now",
        ("test_a_row_grows_old_while_a_request_waits",),
    ),
    Bug(
        "a carried debit has no claim",
        "debiting:add",
        'self.claims[f"{CLAIM} {keyed.key}"] = claim',
        'if not isinstance(keyed, WaitingDebit): self.claims[f"{CLAIM} {keyed.key}"] = claim',
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a claimed debit is carried again and again",
        "debiting:_commit",
        "request.claimed.update(claimed & part.carried)",
        "",
        ("test_every_interleaving_keeps_the_rules", "test_a_row_whose_key_is_claimed_is_left_out"),
    ),
    Bug(
        "a carried debit says that it is a replay",
        "debiting:_outcome_of",
        "replayed=effect.row not in request.own_rows",
        "replayed=True",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "each of two requests with a key says that it was first",
        "debiting:_outcome_of",
        "replayed=effect.row not in request.own_rows",
        "replayed=not request.own_rows",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a request lets others go first for ever",
        "_was_appended",
        "for yields_left in range(yields, -1, -1):",
        "for yields_left in range(MAX_ATTEMPTS if yields else 0, -1, -1):",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a row of another form is read",
        "waiting_from_item",
        'if item["form"]["N"] != str(ROW_FORM): return None',
        "",
        ("test_a_row_that_can_not_be_read_is_left_out",),
    ),
    Bug(
        "an error that a row causes fails the request that reads it",
        "debiting:_carry",
        "except Exception: continue",
        "except Refused: continue",
        ("test_a_row_that_can_not_be_read_is_left_out",),
    ),
    Bug(
        "a transaction carries as many as there are",
        "debiting:_carry",
        "if len(part.claims) >= MAX_CARRIED or part.size >= MAX_CARRIED_BYTES: return",
        "",
        ("test_a_transaction_carries_at_most_forty_five",),
    ),
    Bug(
        "a quick rival keeps a request waiting for ever",
        "_take_turns",
        'hurried = result == "overtaken" and not _credits_arrived(part) and not hurried',
        "hurried = False",
        ("test_a_quick_rival_cannot_keep_a_debit_waiting",),
    ),
    Bug(
        "a request that lost a race never carries others again",
        "_take_turns",
        'hurried = result == "overtaken" and not _credits_arrived(part) and not hurried',
        "hurried = True",
        ("test_waiting_rows",),
    ),
    Bug(
        "a grant makes every waiting debit append alone",
        "_take_turns",
        "not _credits_arrived(part) and not hurried",
        "not hurried",
        ("test_a_grant_that_comes_first_is_no_quick_rival",),
    ),
    Bug(
        "a conflict is no quick rival",
        "_credits_arrived",
        "return rival is not None and",
        "return rival is None or",
        ("test_a_quick_rival_cannot_keep_a_debit_waiting",),
    ),
)
