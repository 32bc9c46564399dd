"""Small faults of the kind that people make, each with the tests that should find it first.

`before` stands exactly once in its file. Whoever changes that line plants the bug anew beside it.
"""

from dataclasses import dataclass

CORE, STORE = "layers/prepaid/prepaid/core", "layers/prepaid/prepaid/store"
PAYMENTS, API = "layers/prepaid/prepaid/payments", "layers/prepaid/prepaid/api"
LEDGER, PURCHASE = f"{CORE}/ledger.py", f"{CORE}/purchase.py"


@dataclass(frozen=True, slots=True)
class Bug:
    """`path` with `after` in the place of `before`. found_by: test files, or single tests, that are run first."""

    name: str
    path: str
    before: str
    after: str
    found_by: tuple[str, ...]


SPENDING = ("tests/unit/core/test_spending.py",)
RULES = ("tests/unit/core/test_ledger.py", "tests/unit/core/test_spending.py")
QUOTA = ("tests/unit/core/test_quota.py",)
CALENDAR = ("tests/unit/core/test_calendar.py",)
MONEY = ("tests/unit/core/test_money_back.py",)
PURCHASES = ("tests/unit/core/test_purchase.py",)
CODES = ("tests/unit/core/test_manager.py",)
CATALOGUES = ("tests/unit/core/test_catalogue.py",)
APPEND = ("tests/store/test_append.py",)
INTERLEAVINGS = ("tests/store/test_interleavings.py", "tests/store/test_append.py")
FAULTS = ("tests/store/test_faults.py",)
STORED_MONEY = ("tests/store/test_money_back.py",)
STORED_PURCHASES = ("tests/store/test_purchases.py", "tests/store/test_recording.py")
STORED_CODES = ("tests/store/test_managers.py",)
SWEEP = ("tests/store/test_sweep.py",)
STORED_CATALOGUES = ("tests/store/test_catalogue.py",)
CATALOGUE_RACES = (
    "tests/store/test_races.py::test_of_parallel_successors_of_one_catalogue_one_wins_and_the_others_are_told",
)
ACCOUNTS = ("tests/store/test_accounts.py",)
READING = ("tests/functions/test_reading.py",)
SPENDING_OVER_HTTP = ("tests/functions/test_spending.py", "tests/functions/test_who_is_asking.py")
BAD_INPUT = ("tests/functions/test_bad_input.py",)
BUYING = ("tests/functions/test_buying.py",)
CODE_OVER_HTTP = ("tests/functions/test_manager_code.py",)
SIGNATURE = ("tests/functions/test_webhook_signature.py",)
WEBHOOK = ("tests/functions/test_webhook_purchases.py",)
MONEY_OVER_HTTP = ("tests/functions/test_money_back.py",)
RECONCILING = f"{STORE}/reconciliation.py"
SCHEDULED_VERIFIER = ("tests/functions/test_verify.py",)
RECONCILIATION = ("tests/functions/test_reconciliation.py",)
VERIFYING, VERIFIER = "layers/prepaid/prepaid/verifying", "tests/store/test_verifier.py"
CLEAN = (f"{VERIFIER}::test_nothing_is_found_where_only_the_service_wrote",)
PUT_AWAY = (f"{VERIFIER}::test_a_pass_that_is_put_away_after_every_page_finds_the_same",)
SUM_THAT_FITS = (f"{VERIFIER}::test_a_purchase_whose_sum_was_made_to_fit_is_found_by_its_lines",)
TEMPLATE = ("tests/infra/test_template.py",)
RIGHTS = ("tests/security/test_least_privilege.py",)
STRANGERS = ("tests/security/test_accounts.py",)
CONSTANT_TIME = ("tests/security/test_constant_time.py",)
LINKS = ("tests/security/test_links.py",)

BUGS = (
    # Time and lots
    Bug(
        "a lot lives an instant too long",
        LEDGER,
        "expired = tuple(lot for lot in account.lots if lot.expires_at <= now)",
        "expired = tuple(lot for lot in account.lots if lot.expires_at < now)",
        RULES,
    ),
    Bug(
        "expired lots stay in the account",
        LEDGER,
        "kept = tuple(lot for lot in account.lots if lot.expires_at > now)",
        "kept = account.lots",
        RULES,
    ),
    Bug(
        "validity ends a day early",
        f"{CORE}/calendar.py",
        "return day_start(last_day + timedelta(days=1), zone)",
        "return day_start(last_day, zone)",
        CALENDAR,
    ),
    Bug(
        "months are counted in UTC",
        f"{CORE}/calendar.py",
        """    local = start.astimezone(_zone(zone)).date()
    last_day""",
        """    local = start.date()
    last_day""",
        CALENDAR,
    ),
    Bug(
        "29 February fails instead of clamping",
        f"{CORE}/calendar.py",
        "return date(year, month, min(day, monthrange(year, month)[1]))",
        "return date(year, month, min(day, 28))",
        CALENDAR,
    ),
    Bug(
        "draws the longest lot first",
        f"{CORE}/account.py",
        "return (lot.expires_at, lot.kind == ",
        "return (-lot.expires_at.timestamp(), lot.kind == ",
        SPENDING,
    ),
    Bug(
        "bought credits are drawn before gifts",
        f"{CORE}/account.py",
        'lot.kind == "purchase", lot.granted_at',
        'lot.kind != "purchase", lot.granted_at',
        SPENDING,
    ),
    Bug(
        "a clock that is behind turns the ledger's time back",
        LEDGER,
        """    now = max(now, account.at)
    account, settled""",
        """    account, settled""",
        RULES,
    ),
    # Debits and quota
    Bug(
        "all but one credit is enough",
        LEDGER,
        "if needed > account.available:",
        "if needed > account.available + 1:",
        SPENDING,
    ),
    Bug(
        "the last credit can't be spent",
        LEDGER,
        "if needed > account.available:",
        "if needed >= account.available:",
        SPENDING,
    ),
    Bug(
        "the quota pays for every feature",
        f"{CORE}/account.py",
        "return quota_remaining(account, catalogue) if feature.quota_backed else 0",
        "return quota_remaining(account, catalogue)",
        QUOTA,
    ),
    Bug(
        "credits pay before the quota",
        LEDGER,
        "from_quota = min(debit.quantity, quota_remaining_for(account, feature, catalogue))",
        "from_quota = 0 if account.lots else min(debit.quantity, quota_remaining_for(account, feature, catalogue))",
        SPENDING,
    ),
    Bug(
        "what the quota paid costs credits too",
        LEDGER,
        "needed = (debit.quantity - from_quota) * feature.price",
        "needed = debit.quantity * feature.price",
        QUOTA,
    ),
    Bug(
        "a price counts once whatever the quantity",
        LEDGER,
        "needed = (debit.quantity - from_quota) * feature.price",
        "needed = feature.price if debit.quantity > from_quota else 0",
        SPENDING,
    ),
    Bug(
        "quota that was used is not noted",
        LEDGER,
        "quota_used=account.quota_used + from_quota",
        "quota_used=account.quota_used",
        QUOTA,
    ),
    Bug(
        "a renewal leaves a unit used",
        LEDGER,
        "renewed = replace(account, quota_used=0, quota_renews_at=",
        "renewed = replace(account, quota_used=min(1, account.quota_used), quota_renews_at=",
        QUOTA,
    ),
    Bug(
        "the quota renews a moment late",
        LEDGER,
        "if account.quota_renews_at <= now:",
        "if account.quota_renews_at < now:",
        QUOTA,
    ),
    Bug(
        "a smaller plan takes back what was used",
        f"{CORE}/account.py",
        "return max(0, quota_limit(account, catalogue) - account.quota_used)",
        "return quota_limit(account, catalogue) - account.quota_used",
        QUOTA,
    ),
    Bug(
        "no AI, and quota all the same",
        f"{CORE}/account.py",
        "return catalogue.plan(account.terms.plan).quota if account.terms.ai_enabled else 0",
        "return catalogue.plan(account.terms.plan).quota",
        QUOTA,
    ),
    Bug(
        "a refusal suggests a pack that is too small",
        LEDGER,
        "pack = catalogue.smallest_pack_covering(needed - account.available + account.owed)",
        "pack = catalogue.smallest_pack_covering(1)",
        SPENDING,
    ),
    Bug(
        "a suggested pack would go into the debt",
        LEDGER,
        "needed - account.available + account.owed",
        "needed - account.available",
        SPENDING,
    ),
    Bug(
        "retired packs are suggested",
        f"{CORE}/catalogue.py",
        "sorted((pack for pack in self.packs if pack.active)",
        "sorted((pack for pack in self.packs)",
        CATALOGUES,
    ),
    # Grants and money back
    Bug(
        "a grant forgets what is owed",
        LEDGER,
        "settled = min(account.owed, grant.credits)",
        "settled = 0",
        MONEY,
    ),
    Bug(
        "a debt is settled and stays",
        LEDGER,
        "after = replace(account, lots=_with_lot(account.lots, lot), owed=account.owed - settled)",
        "after = replace(account, lots=_with_lot(account.lots, lot))",
        MONEY,
    ),
    Bug(
        "a refund takes from every lot",
        LEDGER,
        "draws = _draw((lot for lot in account.lots if lot.number in numbers), revoke.credits)",
        "draws = _draw(account.lots, revoke.credits)",
        MONEY,
    ),
    Bug(
        "expired credits are owed",
        LEDGER,
        "owed = max(0, missing - revoke.lapsed)",
        "owed = missing",
        MONEY,
    ),
    Bug(
        "nothing is ever owed",
        LEDGER,
        "owed = max(0, missing - revoke.lapsed)",
        "owed = 0",
        MONEY,
    ),
    Bug(
        "a debt that was paid is forgotten when its money comes back",
        LEDGER,
        "paid = restore.debt - cancelled",
        "paid = 0",
        MONEY,
    ),
    Bug(
        "a debt is cancelled twice",
        LEDGER,
        "cancelled = min(restore.debt, account.owed)",
        "cancelled = account.owed",
        MONEY,
    ),
    Bug(
        "what expired comes back",
        LEDGER,
        "taken = restore.credits - restore.debt - restore.lapsed",
        "taken = restore.credits - restore.debt",
        MONEY,
    ),
    Bug(
        "what comes back after its end lives for ever",
        LEDGER,
        "COURTESY = timedelta(days=7)",
        "COURTESY = timedelta(days=7000)",
        MONEY,
    ),
    Bug(
        "credits taken back are rounded up",
        PURCHASE,
        "return purchase.credits * min(money_back, purchase.amount) // purchase.amount",
        "return -(-purchase.credits * min(money_back, purchase.amount) // purchase.amount)",
        MONEY,
    ),
    Bug(
        "more can be taken back than was bought",
        PURCHASE,
        "return purchase.credits * min(money_back, purchase.amount) // purchase.amount",
        "return purchase.credits * money_back // purchase.amount",
        MONEY,
    ),
    Bug(
        "refunds add up with every look",
        PURCHASE,
        "credits=after.revoked - before.revoked,",
        "credits=after.revoked,",
        MONEY,
    ),
    Bug(
        "disputes don't count",
        PURCHASE,
        "revoked = revoked_credits(purchase, refunded + disputed)",
        "revoked = revoked_credits(purchase, refunded)",
        MONEY,
    ),
    Bug(
        "an unpaid session grants",
        PURCHASE,
        'if fact.progress == "paid":\n            return Step(',
        'if fact.progress in {"paid", "awaiting_payment"}:\n            return Step(',
        PURCHASES,
    ),
    Bug(
        "the amount is not compared",
        PURCHASE,
        '        ("amount", purchase.amount, fact.amount),\n',
        "",
        PURCHASES,
    ),
    Bug(
        "the currency is not compared",
        PURCHASE,
        '        ("currency", purchase.currency, fact.currency),\n',
        "",
        PURCHASES,
    ),
    Bug(
        "test money counts as real",
        PURCHASE,
        '        ("live", purchase.live, fact.live),\n',
        "",
        PURCHASES,
    ),
    Bug(
        "an expired page is never paid",
        PURCHASE,
        "    if not purchase.granted:\n        if fact",
        '    if purchase.state == "expired":\n        return None\n    if not purchase.granted:\n        if fact',
        PURCHASES,
    ),
    # The manager's code
    Bug(
        "six tries",
        f"{CORE}/manager_code.py",
        "if code.tries < MAX_TRIES:",
        "if code.tries <= MAX_TRIES:",
        CODES,
    ),
    Bug(
        "locks don't grow",
        f"{CORE}/manager_code.py",
        "return replace(code, tries=1, locks=code.locks + 1,",
        "return replace(code, tries=1, locks=code.locks,",
        CODES,
    ),
    Bug(
        "a changed code leaves its sessions open",
        f"{CORE}/manager_code.py",
        "now < session.expires_at and session.code_version == code_version",
        "now < session.expires_at",
        CODES,
    ),
    Bug(
        "a session serves every account",
        f"{CORE}/manager_code.py",
        "return session.account == account and now < session.expires_at",
        "return now < session.expires_at",
        CODES,
    ),
    Bug(
        "tries are taken without a condition",
        f"{STORE}/managers.py",
        '        "ConditionExpression": "revision = :seen",\n'
        '        "ExpressionAttributeValues": {":seen": {"N": str(over.revision)}},\n',
        "",
        STORED_CODES,
    ),
    Bug(
        "a session is spent twice",
        f"{STORE}/managers.py",
        '        "ConditionExpression": "attribute_not_exists(purchase)",\n',
        "",
        (*STORED_PURCHASES, *STORED_CODES),
    ),
    Bug(
        "the key is looked up before the code is right",
        f"{STORE}/managers.py",
        "    held = _compare(table, account_id, code, pepper, now, patience)\n    expires_at",
        "    held = _read(table, account_id)\n    expires_at",
        (*STORED_CODES, *CODE_OVER_HTTP),
    ),
    Bug(
        "a code changed at the last moment doesn't matter",
        f"{STORE}/managers.py",
        '        "ConditionExpression": "version = :version",\n'
        '        "ExpressionAttributeValues": {":version": {"N": str(version)}},\n    }\n\n\ndef token_digest',
        '        "ConditionExpression": "attribute_exists(PK)",\n    }\n\n\ndef token_digest',
        (*STORED_PURCHASES, *STORED_CODES),
    ),
    # The ledger's writes
    Bug(
        "two appends on one entry",
        f"{STORE}/ledger.py",
        'puts[name] = {"Item": item, "ConditionExpression": IF_ABSENT}',
        'puts[name] = {"Item": item}',
        INTERLEAVINGS,
    ),
    Bug(
        "a claim is written over",
        f"{STORE}/ledger.py",
        """            "request_hash": {"B": request_hash(_claimable(operation))},
        },
        "ConditionExpression": IF_ABSENT,
""",
        """            "request_hash": {"B": request_hash(_claimable(operation))},
        },
""",
        APPEND,
    ),
    Bug(
        "no claim is written",
        f"{STORE}/ledger.py",
        "    if idempotency_key is not None and entries:\n        puts[CLAIM]",
        "    if idempotency_key is not None and not entries:\n        puts[CLAIM]",
        APPEND,
    ),
    Bug(
        "a refusal speaks before it looks at the claim",
        f"{STORE}/ledger.py",
        """        if earlier:
            return earlier
        raise
    if idempotency_key""",
        """        raise
    if idempotency_key""",
        APPEND,
    ),
    Bug(
        "another request with the key is a replay",
        f"{STORE}/ledger.py",
        """    if claim["request_hash"]["B"] != request_hash(_claimable(operation)):
        raise IdempotencyKeyReused
    return Appended""",
        """    return Appended""",
        APPEND,
    ),
    Bug(
        "a lost race is told instead of tried again",
        f"{STORE}/ledger.py",
        "            if ENTRY not in lost.found:\n                raise\n",
        "            raise\n",
        INTERLEAVINGS,
    ),
    Bug(
        "no row tells the sweep of a lot",
        f"{STORE}/ledger.py",
        "        if entry.lot:\n",
        '        if entry.lot and entry.type == "purchase":\n',
        (*APPEND, *SWEEP),
    ),
    Bug(
        "the newest entry is read eventually",
        f"{STORE}/dynamodb.py",
        "            ScanIndexForward=not newest_first,\n            ConsistentRead=True,\n",
        "            ScanIndexForward=not newest_first,\n            ConsistentRead=False,\n",
        ("tests/store/test_cost.py", "tests/store/test_reading.py", *APPEND),
    ),
    Bug(
        "the chain forgets the entry before",
        f"{STORE}/items.py",
        'return sha256(previous_hash + f"{partition}',
        'return sha256(f"{partition}',
        APPEND,
    ),
    Bug(
        "who asked is part of what was asked",
        f"{STORE}/items.py",
        'if value is not None and name != "actor"}',
        "if value is not None}",
        APPEND,
    ),
    Bug(
        "a throttled transaction is a failure",
        f"{STORE}/dynamodb.py",
        '        "ThrottlingException",\n',
        "",
        FAULTS,
    ),
    Bug(
        "a conflict of transactions is a failure",
        f"{STORE}/dynamodb.py",
        '        "TransactionConflict",\n',
        "",
        FAULTS,
    ),
    Bug(
        "silence is a failure",
        f"{STORE}/dynamodb.py",
        "    except (EndpointError, HTTPClientError) as error:\n        raise Transient from error\n",
        "    except EndpointError as error:\n        raise Transient from error\n",
        FAULTS,
    ),
    Bug(
        "patience never ends",
        f"{STORE}/dynamodb.py",
        "        if patience.clock() + pause > deadline:\n            break\n",
        "",
        ("tests/store/test_patience.py",),
    ),
    # Purchases
    Bug(
        "two events grant twice",
        f"{STORE}/purchases.py",
        '        "ConditionExpression": "version = :seen",\n'
        '        "ExpressionAttributeValues": {":seen": {"N": str(purchase.version - 1)}},\n',
        "",
        (*STORED_PURCHASES, *STORED_MONEY),
    ),
    Bug(
        "one payment pays for two purchases",
        f"{STORE}/purchases.py",
        '        # One payment pays for one purchase.\n        "ConditionExpression": IF_ABSENT,\n',
        "",
        STORED_PURCHASES,
    ),
    Bug(
        "the provider is asked before the record is read",
        f"{STORE}/purchases.py",
        """            purchase = read_purchase(table, pointer.account, pointer.purchase)
            fact = look()
""",
        """            fact = look()
            purchase = read_purchase(table, pointer.account, pointer.purchase)
""",
        STORED_MONEY,
    ),
    Bug(
        "what was written last is not looked at again",
        f"{STORE}/purchases.py",
        """                    # tells us again, so what we heard last must be newer than what we wrote last.
                    break
""",
        """                    # tells us again, so what we heard last must be newer than what we wrote last.
                    return outcome
""",
        STORED_MONEY,
    ),
    Bug(
        "a rival's late spend is taken for expired",
        f"{STORE}/purchases.py",
        "        if overtaken and any(_has_ended(lot, last.at) for lot in before.lots):\n",
        "        if False:\n",
        STORED_MONEY,
    ),
    Bug(
        "what doesn't fit is granted",
        f"{STORE}/purchases.py",
        "            if purchase is None or fact is None or wrong:\n",
        "            if purchase is None or fact is None:\n",
        STORED_PURCHASES,
    ),
    Bug(
        "a purchase's key begins another one",
        f"{STORE}/purchases.py",
        'CLAIM: {"Item": claim, "ConditionExpression": IF_ABSENT},',
        'CLAIM: {"Item": claim},',
        STORED_PURCHASES,
    ),
    # Sweep, accounts, catalogue
    Bug(
        "the sweep skips the row after a page",
        f"{STORE}/due.py",
        'first=checkpoint.after + "\\x00",',
        'first=checkpoint.after + "~",',
        SWEEP,
    ),
    Bug(
        "a row goes before its lot's end is recorded",
        f"{STORE}/sweep.py",
        "    append(table, row.account, Settle(), catalogue=catalogue, now=now, patience=patience)\n    persist(",
        "    persist(",
        SWEEP,
    ),
    Bug(
        "the sweep never returns to what failed",
        f"{STORE}/sweep.py",
        "                    failed += 1\n                    place = _to_return(place)\n",
        "                    failed += 1\n",
        SWEEP,
    ),
    Bug(
        "the sweep closes a day too early",
        f"{STORE}/sweep.py",
        "first_open_day = today - timedelta(days=1)",
        "first_open_day = today + timedelta(days=1)",
        SWEEP,
    ),
    Bug(
        "two changes of a profile mix",
        f"{STORE}/accounts.py",
        '            "ConditionExpression": "version = :version",\n'
        '            "ExpressionAttributeValues": {":version": {"N": str(version)}},\n',
        "",
        INTERLEAVINGS,
    ),
    Bug(
        "successors of a catalogue aren't told of each other",
        f"{STORE}/catalogue.py",
        """            "ConditionExpression": IF_ABSENT,
        },
        # Closes the race with a still newer version: CURRENT only ever moves on by one.
        "current": {
            "Item": checksummed({**keys.CATALOGUE, **body}),
            "ConditionExpression": "attribute_not_exists(PK) OR version = :previous",
            "ExpressionAttributeValues": {":previous": {"N": previous}},
""",
        """        },
        "current": {
            "Item": checksummed({**keys.CATALOGUE, **body}),
""",
        CATALOGUE_RACES,
    ),
    Bug(
        "a warm function keeps its catalogue for ever",
        f"{STORE}/catalogue.py",
        "if self._catalogue is None or self._clock() - self._read_at >= self._seconds:",
        "if self._catalogue is None:",
        STORED_CATALOGUES,
    ),
    Bug(
        "a stale catalogue counts a newer account",
        f"{STORE}/catalogue.py",
        "    if catalogue.version >= version:\n        return catalogue\n",
        "    return catalogue\n",
        (*STORED_CATALOGUES, *ACCOUNTS, *APPEND),
    ),
    # HTTP
    Bug(
        "a token for one account opens all",
        f"{API}/http.py",
        "if not ACCOUNT_ID.fullmatch(account) or caller.account not in {None, account}:",
        "if not ACCOUNT_ID.fullmatch(account):",
        SPENDING_OVER_HTTP,
    ),
    Bug(
        "a POST without a key",
        f"{API}/http.py",
        '        raise KeyMissing("Send an Idempotency-Key header with every POST.")\n',
        '        return "none"\n',
        BAD_INPUT,
    ),
    Bug(
        "a name twice in a body",
        f"{API}/http.py",
        '        raise ValueError("a name twice")\n',
        "        return names\n",
        BAD_INPUT,
    ),
    Bug(
        "a replay is not marked",
        f"{API}/http.py",
        'headers={"Idempotent-Replayed": "true"} if replayed else {}',
        "headers={}",
        SPENDING_OVER_HTTP,
    ),
    Bug(
        "an unknown error tells its details",
        f"{API}/problems.py",
        'INTERNAL = Problem(500, lambda _: "Something went wrong on our side.")',
        "INTERNAL = Problem(500, repr)",
        WEBHOOK,
    ),
    Bug(
        "a cursor serves other filters",
        f"{API}/cursors.py",
        "parts = (str(before), account, *(part for item in sorted(filters.items()) for part in item))",
        "parts = (str(before), account)",
        READING,
    ),
    Bug(
        "a cursor serves other accounts",
        f"{API}/cursors.py",
        "parts = (str(before), account, *(",
        "parts = (str(before), *(",
        READING,
    ),
    Bug(
        "a spreadsheet runs a description",
        f"{API}/csv_lines.py",
        "if isinstance(value, str) and value.startswith(FORMULA_STARTS):",
        "if isinstance(value, str) and value.startswith(FORMULA_STARTS[1:]):",
        READING,
    ),
    Bug(
        "a day's history begins a line late",
        f"{API}/histories.py",
        "first = earlier.number + 1 if earlier else 1",
        "first = earlier.number + 2 if earlier else 1",
        READING,
    ),
    # Stripe
    Bug(
        "any signature will do",
        f"{PAYMENTS}/webhook.py",
        "    if not any(_is_signed(text, signature, secret) for secret in secrets):\n",
        "    if not secrets:\n",
        SIGNATURE,
    ),
    Bug(
        "a delivery from the future",
        f"{PAYMENTS}/webhook.py",
        "if abs(now.timestamp() - int(header[1])) > tolerance_seconds:",
        "if now.timestamp() - int(header[1]) > tolerance_seconds:",
        SIGNATURE,
    ),
    Bug(
        "the previous secret is forgotten",
        f"{PAYMENTS}/webhook.py",
        "for secret in secrets):",
        "for secret in secrets[:1]):",
        SIGNATURE,
    ),
    Bug(
        "failed refunds count",
        f"{PAYMENTS}/sessions.py",
        "return sum(refund.amount for refund in refunds.data if refund.status not in VOID_REFUNDS)",
        "return sum(refund.amount for refund in refunds.data)",
        MONEY_OVER_HTTP,
    ),
    Bug(
        "an inquiry takes credits",
        f"{PAYMENTS}/sessions.py",
        "return sum(dispute.amount for dispute in disputes.data if dispute.status in LOST_DISPUTES)",
        'return sum(dispute.amount for dispute in disputes.data if dispute.status != "won")',
        MONEY_OVER_HTTP,
    ),
    Bug(
        "a code to pay is money",
        f"{PAYMENTS}/sessions.py",
        'if session.payment_status == "paid":',
        'if session.status == "complete":',
        WEBHOOK,
    ),
    Bug(
        "a page is made twice",
        f"{PAYMENTS}/checkout.py",
        '_page(client.v1.checkout.sessions.create(parameters, {"idempotency_key": key}))',
        "_page(client.v1.checkout.sessions.create(parameters))",
        BUYING,
    ),
    Bug(
        "the page's price can be lowered",
        f"{PAYMENTS}/checkout.py",
        '"allow_promotion_codes": False,',
        '"allow_promotion_codes": True,',
        BUYING,
    ),
    Bug(
        "one event that fails holds up the reconciliation",
        "layers/prepaid/prepaid/purchasing.py",
        '        run.outcomes["failed"] += 1\n        return None\n',
        '        run.outcomes["failed"] += 1\n        raise\n',
        RECONCILIATION,
    ),
    Bug(
        "what failed is not kept",
        "layers/prepaid/prepaid/purchasing.py",
        "        persist(desk.patience, save_failed, desk.table, what, about, desk.now)\n",
        "",
        RECONCILIATION,
    ),
    Bug(
        "events of the last hour are missed",
        "layers/prepaid/prepaid/purchasing.py",
        "since=place.since - OVERLAP",
        "since=place.since + OVERLAP",
        RECONCILIATION,
    ),
    # Whoever means harm
    Bug(
        "a route asks for a lesser scope",
        "template.yaml",
        "Path: /v1/accounts/{account}/grants\n            Auth: { AuthorizationScopes: [prepaid/admin] }",
        "Path: /v1/accounts/{account}/grants\n            Auth: { AuthorizationScopes: [prepaid/read] }",
        TEMPLATE,
    ),
    Bug(
        "whoever may buy sets the code anew",
        f"{API}/managers.py",
        "if asked.current_code is None and ADMIN_SCOPE not in caller_of(request).scopes:",
        "if asked.current_code is None and not caller_of(request).scopes:",
        ("tests/security/test_scopes.py",),
    ),
    Bug(
        "a part of a scope's name is the scope",
        f"{API}/managers.py",
        "ADMIN_SCOPE not in caller_of(request).scopes:",
        'ADMIN_SCOPE not in " ".join(caller_of(request).scopes):',
        ("tests/security/test_scopes.py",),
    ),
    Bug(
        "a token bound to nothing opens all",
        f"{API}/http.py",
        'return account if isinstance(account, str) else ""',
        "return (account or None) if isinstance(account, str) else None",
        STRANGERS,
    ),
    Bug(
        "a token for one account opens another one anew",
        f"{API}/accounts.py",
        "    if caller_of(request).account not in {None, account_id}:\n        raise AccountNotFound\n",
        "    caller_of(request)\n",
        STRANGERS,
    ),
    Bug(
        "a token for one account sells to all",
        f"{API}/http.py",
        "    if caller.account is not None:\n        raise Forbidden",
        "    if caller.account is None:\n        raise Forbidden",
        SPENDING_OVER_HTTP,
    ),
    Bug(
        "a cursor is believed",
        f"{API}/cursors.py",
        "if not hmac.compare_digest(match[2], _signature(before, account, filters, secret)):",
        "if not _signature(before, account, filters, secret):",
        READING,
    ),
    Bug(
        "a cursor's signature is guessed byte by byte",
        f"{API}/cursors.py",
        "if not hmac.compare_digest(match[2], _signature(before, account, filters, secret)):",
        "if match[2] != _signature(before, account, filters, secret):",
        CONSTANT_TIME,
    ),
    Bug(
        "a code's digest is guessed byte by byte",
        f"{STORE}/managers.py",
        "if not hmac.compare_digest(_digest(code, held.salt, pepper), held.digest):",
        "if _digest(code, held.salt, pepper) != held.digest:",
        CONSTANT_TIME,
    ),
    Bug(
        "an old delivery is played again",
        f"{PAYMENTS}/webhook.py",
        "if abs(now.timestamp() - int(header[1])) > tolerance_seconds:",
        "if int(header[1]) - now.timestamp() > tolerance_seconds:",
        SIGNATURE,
    ),
    Bug(
        "a delivery's time is looked up elsewhere than it is signed",
        f"{PAYMENTS}/webhook.py",
        'HEADER = re.compile(r"t=([0-9]{1,12})(?:,v[0-9]{1,2}=[0-9a-f]{1,128}){1,8}", re.ASCII)',
        'HEADER = re.compile(r"t=([0-9]{1,12})(?:,(?:v[0-9]{1,2}|t)=[0-9a-f]{1,128}){1,8}", re.ASCII)',
        SIGNATURE,
    ),
    Bug(
        "the body is verified before it is unpacked",
        f"{API}/http.py",
        'body = b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()',
        "body = text.encode()",
        ("tests/security/test_targets.py",),
    ),
    Bug(
        "a text breaks a line",
        f"{API}/requests.py",
        r', pattern=r"^[^\x00-\x1f\x7f]+$")]',
        ")]",
        LINKS,
    ),
    Bug(
        "a key breaks a line",
        f"{API}/http.py",
        'IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)',
        'IDEMPOTENCY_KEY = re.compile(r"[^ ]{1,255}", re.ASCII)',
        LINKS,
    ),
    Bug(
        "a request says where to return to",
        f"{API}/purchases.py",
        "page = create_page(client, purchase, customer=customer, shop=shop, now=request.now)\n    except",
        """from dataclasses import replace

        origin = request.headers.get("origin")
        page = create_page(
            client,
            purchase,
            customer=customer,
            shop=replace(shop, return_url=origin) if origin else shop,
            now=request.now,
        )
    except""",
        LINKS,
    ),
    Bug(
        "who spends may read sessions",
        "template.yaml",
        '"dynamodb:LeadingKeys": ["ACCOUNT#*", "CLAIM#*"]',
        '"dynamodb:LeadingKeys": ["ACCOUNT#*", "CLAIM#*", "SESSION#*"]',
        RIGHTS,
    ),
    Bug(
        "the verifier lacks a right",
        "template.yaml",
        '"dynamodb:LeadingKeys": ["VERIFICATION", "VERIFIED#*"]',
        '"dynamodb:LeadingKeys": ["VERIFICATION"]',
        SCHEDULED_VERIFIER,
    ),
    # The verifier
    Bug(
        "the verifier forgets the entry before a pause",
        f"{VERIFYING}/books.py",
        "        books.entry = _decoded(books.last)\n",
        "",
        PUT_AWAY,
    ),
    Bug(
        "the verifier forgets the mark at a pause",
        f"{VERIFYING}/books.py",
        '"mark": [books.mark.number, books.mark.hash.hex()] if books.mark else None,',
        '"mark": None,',
        (f"{VERIFIER}::test_a_pass_that_is_put_away_remembers_the_mark",),
    ),
    Bug(
        "the verifier counts claims of purchases only",
        f"{VERIFYING}/rows.py",
        'view.tally.claimed(f"{books.account}#{number}")',
        "pass",
        CLEAN,
    ),
    Bug(
        "the verifier doesn't ask for claims",
        f"{VERIFYING}/books.py",
        'view.tally.asked(f"{books.account}#{entry.number}")',
        "pass",
        CLEAN,
    ),
    Bug(
        "the verifier doesn't compare what was taken back",
        f"{VERIFYING}/books.py",
        '"taken and owed", course.net, purchase.revoked - purchase.lapsed',
        '"taken and owed", 0, 0',
        (f"{VERIFIER}::test_money_that_never_went_back_is_found_though_the_record_agrees_with_itself",),
    ),
    Bug(
        "the verifier doesn't compare a purchase with the catalogue",
        f"{VERIFYING}/books.py",
        "if not view.was_on_sale(purchase):",
        "if purchase.credits < 0:",
        SUM_THAT_FITS,
    ),
    Bug(
        "the verifier counts a finding and doesn't tell it",
        f"{VERIFYING}/passes.py",
        "        desk.on_finding(finding)\n",
        "        pass\n",
        (f"{VERIFIER}::test_a_whole_account_that_is_gone_is_found",),
    ),
    Bug(
        "the verifier compares lines and not states",
        f"{VERIFYING}/books.py",
        'if all(books.last[part] == encoded[part] for part in ("line", "state")):',
        'if all(books.last[part] == encoded[part] for part in ("line",)):',
        PUT_AWAY,
    ),
    Bug(
        "the verifier believes a refund that took nothing",
        f"{VERIFYING}/replay.py",
        "low = 0 if high else 1",
        "low = 0",
        (f"{VERIFIER}::test_a_refund_that_took_nothing_where_there_was_something_to_take_is_found",),
    ),
    Bug(
        "the verifier minds a missing review only once it is due",
        f"{VERIFYING}/books.py",
        "if purchase.created_at + PAYABLE > view.now + SOON and",
        "if purchase.created_at + PAYABLE < view.now + SOON and",
        (f"{VERIFIER}::test_a_review_that_is_gone_before_its_time_is_missed",),
    ),
    Bug(
        "a mark that can't be read stops the verifier",
        f"{VERIFYING}/books.py",
        "    except (KeyError, ValueError):\n        return Books(account)\n",
        "    except ArithmeticError:\n        return Books(account)\n",
        (f"{VERIFIER}::test_marks_and_a_pass_that_is_kept_are_held_to_their_form_too",),
    ),
    Bug(
        "a checksum leaves the language out",
        f"{STORE}/items.py",
        "rest = {name: value for name, value in item.items() if name != CHECKSUM}",
        'rest = {name: value for name, value in item.items() if name not in (CHECKSUM, "language")}',
        (f"{VERIFIER}::test_any_attribute_that_is_changed_taken_or_added_is_found",),
    ),
    Bug(
        "each try of what failed counts as the first",
        RECONCILING,
        '"first_at": before["first_at"] if before else {"N": str(milliseconds(now))},',
        '"first_at": {"N": str(milliseconds(now))},',
        RECONCILIATION,
    ),
    Bug(
        "purchases are reviewed before they are over",
        RECONCILING,
        'first="0", last=keys.review_sort(due, HIGHEST)',
        'first="0", last=HIGHEST',
        RECONCILIATION,
    ),
    Bug(
        "the reconciliation forgets what it told a person",
        RECONCILING,
        '"told": {"L": [{"S": event} for event in checkpoint.told]},',
        '"told": {"L": []},',
        RECONCILIATION,
    ),
    Bug(
        "the reconciliation forgets where in its span it was",
        RECONCILING,
        '"event": {"S": checkpoint.event},',
        '"event": {"S": ""},',
        RECONCILIATION,
    ),
    Bug(
        "the reconciliation works until it is stopped",
        "functions/reconcile/app.py",
        "context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS",
        "context.get_remaining_time_in_millis() > 0",
        RECONCILIATION,
    ),
    Bug(
        "the sweep works until it is stopped",
        "functions/expiry_sweep/app.py",
        "context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS",
        "context.get_remaining_time_in_millis() > 0",
        ("tests/functions/test_expiry_sweep.py",),
    ),
    Bug(
        "a table that was verified is never verified again",
        "functions/verify/app.py",
        "if one.done and one.started_at <= now < one.started_at + EVERY:",
        "if one.done and one.started_at <= now:",
        SCHEDULED_VERIFIER,
    ),
    Bug(
        "an unfinished verification keeps no place",
        "functions/verify/app.py",
        "    finally:\n        persist(",
        "    finally:\n        not one.done or persist(",
        SCHEDULED_VERIFIER,
    ),
    Bug(
        "what the webhook puts aside sounds no alarm",
        "functions/purchase_webhook/app.py",
        "on_quarantine=on_quarantine,",
        "on_quarantine=lambda: None,",
        WEBHOOK,
    ),
)
