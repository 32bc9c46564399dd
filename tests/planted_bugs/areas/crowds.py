"""Bugs in the debits that wait for each other: each breaks one sentence of the rules in store/debits.py."""

from tests.planted_bugs.bug import Bug

CROWDS = (
    Bug(
        "a row is left over the mark in its place",
        "debits:_leave",
        'put(asking.table, {"Item": row, "ConditionExpression": IF_ABSENT})',
        'put(asking.table, {"Item": row})',
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a row is left although the key has its claim",
        "_append_part",
        "if single and not part.draft.rival: _read_effects(asking)",
        "",
        ("test_a_retry_in_a_crowd_leaves_no_row",),
    ),
    Bug(
        "rows are read before the newest entry",
        "_take_turns",
        "waiting = [] if hurried else _read_waiting(asking, view, part.catalog.version)",
        """
        waiting = [] if hurried else _read_waiting(asking, view, part.catalog.version)
        view = _look(asking, place, MAX_ROWS)
        part = _compose(asking, view.tail)
        if not part.claims:
            continue
        """,
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a waiting debit isn't judged alone",
        "debits:_carry",
        "apply(part.draft.tail.entry.after, one.debit, catalog=part.catalog, now=one.now)",
        "",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a waiting debit isn't judged in turn",
        "debits:_carry",
        "entries = apply(part.account, one.debit, catalog=part.catalog, now=one.now)",
        "entries = apply(part.draft.tail.entry.after, one.debit, catalog=part.catalog, now=one.now)",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a waiting debit is judged by the time of the one that carries it",
        "_read_waiting",
        "waiting = [one for item in items if (one := waiting_from_item(item))]",
        "waiting = [replace(one, now=asking.now) for item in items if (one := waiting_from_item(item))]",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a waiting debit is judged by another version of the catalog",
        "_read_waiting",
        "one.now > oldest and one.version == version",
        "one.now > oldest",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a refusal leaves its row",
        "_take_turns",
        "_mark(asking, row)",
        "",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "the newest entry isn't read again after the mark",
        "_take_turns",
        "row, view = None, _look(asking, place, MAX_ROWS)",
        "row = None",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "the claim isn't read after the newest entry",
        "append_each",
        "isinstance(outcome, Refused) and one.key not in whole.effects",
        "isinstance(outcome, Refused) and one.key not in whole.effects and not whole.left",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a request that gives up leaves its row",
        "_append_part",
        "with suppress(Busy): _mark(replace(asking, table=within(asking.table, MARK_SECONDS)), row)",
        "pass",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "an old row is carried",
        "_read_waiting",
        "one.now > oldest and one.version == version",
        "one.version == version",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a row's age is by the time at which the request began",
        "debits:time",
        "return self.now + timedelta(seconds=self.table.deadline.clock() - self.began)",
        "return self.now",
        ("test_a_row_grows_old_while_a_request_waits",),
    ),
    Bug(
        "a carried debit has no claim",
        "debits:add",
        'self.claims[f"{CLAIM} {one.key}"] = claim',
        'if not isinstance(one, Waiting): self.claims[f"{CLAIM} {one.key}"] = claim',
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a claimed debit is carried again and again",
        "debits:_committed",
        "asking.gone.update(claimed & part.carried)",
        "",
        ("test_every_interleaving_keeps_the_rules", "test_a_row_whose_key_is_claimed_is_left_out"),
    ),
    Bug(
        "a carried debit says that it is a replay",
        "debits:_outcome_of",
        "replayed=effect.row not in asking.left",
        "replayed=True",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "each of two requests with a key says that it was first",
        "debits:_outcome_of",
        "replayed=effect.row not in asking.left",
        "replayed=not asking.left",
        ("test_every_interleaving_keeps_the_rules",),
    ),
    Bug(
        "a request lets others go first for ever",
        "_was_appended",
        "for left in range(yields, -1, -1):",
        "for left in range(MAX_ATTEMPTS if yields else 0, -1, -1):",
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
        "debits:_carry",
        "except Exception: continue",
        "except Refused: continue",
        ("test_a_row_that_can_not_be_read_is_left_out",),
    ),
    Bug(
        "a transaction carries as many as there are",
        "debits:_carry",
        "if len(part.claims) >= MAX_CARRIED or part.size >= MAX_CARRIED_BYTES: return",
        "",
        ("test_a_transaction_carries_at_most_forty_five",),
    ),
    Bug(
        "a quick rival keeps a request waiting for ever",
        "_take_turns",
        "hurried = rival is not None and rival.entry.type not in ARRIVALS and not hurried",
        "hurried = False",
        ("test_a_quick_rival_cannot_keep_a_debit_waiting",),
    ),
    Bug(
        "a request that lost a race never carries others again",
        "_take_turns",
        "hurried = rival is not None and rival.entry.type not in ARRIVALS and not hurried",
        "hurried = True",
        ("test_waiting_rows",),
    ),
    Bug(
        "a grant makes every waiting debit append alone",
        "_take_turns",
        "rival.entry.type not in ARRIVALS and not hurried",
        "not hurried",
        ("test_a_grant_that_comes_first_is_no_quick_rival",),
    ),
)
