"""Bugs in the Python client and its command line: what would charge twice, charge nothing or believe a stranger."""

from tests.planted_bugs.bug import Bug

CLIENT = (
    Bug(
        "a retry has a key of its own",
        "sending:_request",
        "headers={**headers, **call.headers}",
        'headers={**headers, **call.headers, **({"Idempotency-Key": f"{id(headers)}"} if call.key else {})}',
        ("test_whatever_is_lost_is_charged_once",),
    ),
    Bug(
        "a refusal for lack of credits is retried",
        "RETRIED",
        "{500, 502, 503, 504}",
        "{402, 500, 502, 503, 504}",
        ("test_a_refusal_is_an_error_of_its_own_with_its_figures",),
    ),
    Bug(
        "a locked code is tried again",
        "NOT_RETRIED",
        '"code_locked",',
        "",
        ("test_a_locked_code_waits_for_a_person",),
    ),
    Bug(
        "a change of the code is repeated after a lost answer",
        "put_manager_code",
        "repeatable=current_code is None",
        "repeatable=True",
        ("test_a_lost_change_of_the_code_with_the_old_one_is_not_repeated",),
    ),
    Bug(
        "the retries go on after the deadline",
        "sending:exchange",
        "service.clock() + pause >= give_up_at",
        "service.clock() + pause >= give_up_at + 5",
        ("test_the_deadline_ends_all_retries",),
    ),
    Bug(
        "a slow answer outlasts the deadline",
        "exchange_once",
        "if time.monotonic() > late_at",
        "if time.monotonic() > late_at + 60",
        ("test_a_slow_answer_ends_at_the_deadline",),
    ),
    Bug(
        "only the last attempt may have happened",
        "sending:exchange",
        "happened = happened or (call.changes and error.may_have_happened)",
        "happened = call.changes and error.may_have_happened",
        ("test_one_attempt_that_may_have_happened_is_remembered",),
    ),
    Bug(
        "a refused token hides a charge",
        "_refusal_or_unavailable",
        "if not happened or error.status not in BEFORE_THE_KEY",
        "if error.status",
        ("test_a_token_refused_after_a_lost_answer_is_no_refusal",),
    ),
    Bug(
        "a token travels in the clear",
        "Service.__post_init__",
        'if not encrypted and not (parts.scheme == "http" and is_local(address))',
        "if not parts.scheme",
        ("test_a_token_travels_only_encrypted",),
    ),
    Bug(
        "two works share a key",
        "keys:key_of",
        'quote(str(part), safe="")',
        "str(part)",
        ("test_keys_and_errors",),
    ),
    Bug(
        "an interrupted function keeps its hold",
        "charging:charged",
        "except BaseException",
        "except Exception",
        ("test_a_failure_charges_nothing",),
    ),
    Bug(
        "a cancelled task keeps its hold",
        "charging:charged_async",
        "except BaseException",
        "except Exception",
        ("test_a_cancelled_task_charges_nothing",),
    ),
    Bug(
        "a function runs without a hold",
        "charging:charged",
        "hold = transport.follow(reserve(work))",
        """
        try:
            hold = transport.follow(reserve(work))
        except Exception:
            return function(*args, **kwargs)
        """,
        ("test_nothing_runs_that_cannot_be_paid",),
    ),
    Bug(
        "a result is returned without its charge",
        "charging:charged",
        "transport.follow(settle(work, hold))",
        """
        try:
            transport.follow(settle(work, hold))
        except Exception:
            pass
        """,
        ("test_a_result_that_cannot_be_charged_is_not_returned",),
    ),
    Bug(
        "an async result is returned without its charge",
        "charging:charged_async",
        "await transport.follow(settle(work, hold))",
        "",
        ("test_a_result_is_charged",),
    ),
    Bug(
        "an async block's end releases nothing",
        "client:AsyncAccount.hold",
        "if hold.open: await hold.release()",
        "pass",
        ("client/test_holds",),
    ),
    Bug(
        "a capture has the key of its hold",
        "holding:settle",
        "calls.capture_hold(work.account, hold.id, key=work.key)",
        "calls.capture_hold(work.account, hold.id, key=hold.id)",
        ("client/test_charge",),
    ),
    Bug(
        "a lapsed hold leaves its work unpaid",
        "holding:settle",
        "yield calls.consume(work.account, work.feature, work.quantity, key=work.key, **work.texts)",
        "return",
        ("test_work_that_outlasts_its_hold_is_charged",),
    ),
    Bug(
        "a key of something else pays a work whose hold ended",
        "holding:settle",
        "if not (yield from _is_captured(work)): raise",
        "",
        ("client/test_charge_of_a_used_key",),
    ),
    Bug(
        "a key of something else pays a work",
        "holding:settle",
        "yield from give_back(work.account, hold, work.key)",
        """
        yield from give_back(work.account, hold, work.key)
        return
        """,
        ("client/test_charge_of_a_used_key",),
    ),
    Bug(
        "any use of a key counts as its work's capture",
        "holding:_is_captured",
        "yield from give_back(work.account, placed, work.key) return False",
        """
        yield from give_back(work.account, placed, work.key)
        return True
        """,
        ("client/test_charge_of_a_used_key",),
    ),
    Bug(
        "a later delivery's capture is not looked for",
        "holding:_is_captured",
        "except IdempotencyKeyReused: continue",
        "except IdempotencyKeyReused: return False",
        ("client/test_charge_of_a_used_key",),
    ),
    Bug(
        "a hold captured with another key is charged again",
        "holding:settle",
        "except (HoldLapsed, HoldReleased) as error",
        "except (HoldLapsed, HoldReleased, AlreadyCaptured) as error",
        ("test_a_hold_captured_with_another_key_pays_no_work",),
    ),
    Bug(
        "each delivery of a job has a hold of its own",
        "holding:_place",
        'key = f"hold-{attempt}:{work.key}"',
        'key = f"hold-{attempt}-{id(work)}:{work.key}"',
        ("test_a_work_delivered_twice_shares_its_hold",),
    ),
    Bug(
        "a released hold counts as held",
        "holding:reserve",
        'if hold.state in {"held", "captured"}',
        'if hold.state != "lapsed"',
        ("test_a_work_tried_again_gets_a_new_hold",),
    ),
    Bug(
        "a block's end releases nothing",
        "client:Account.hold",
        "if hold.open: hold.release()",
        "pass",
        ("client/test_holds",),
    ),
    Bug(
        "a capture without an answer is released",
        "client:Hold.capture",
        "self.open = False",
        "",
        ("test_a_capture_whose_answer_is_lost_is_not_released",),
    ),
    Bug(
        "a refused capture keeps its hold",
        "client:Hold.capture",
        "self.open = True",
        "",
        ("test_a_refused_capture_releases_the_hold",),
    ),
    Bug(
        "a release that fails hides the work's own error",
        "holding:give_back",
        'logger.warning("%s of %s was not released and lapses at %s: %s", hold.id, key, hold.lapses_at, error)',
        "raise",
        ("test_a_release_that_fails_does_not_hide_the_exception",),
    ),
    Bug(
        "a delivery needs no signature",
        "webhooks:unwrap",
        'raise WebhookRejected("the delivery isn\'t signed with one of the secrets, or is too old")',
        "lower_headers.setdefault('webhook-id', '')",
        ("test_everything_else_is_rejected",),
    ),
    Bug(
        "a delivery may be of any age",
        "webhooks:_is_signed",
        "webhook.verify(body, headers, json_parse=False)",
        """
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), __import__("datetime").UTC)
        return webhook.sign(headers["webhook-id"], at, body.decode()) in headers["webhook-signature"].split()
        """,
        ("test_everything_else_is_rejected",),
    ),
    Bug(
        "a delivery's id may be another one than its event's",
        "webhooks:unwrap",
        'if event.id != lower_headers["webhook-id"]',
        "if not event.id",
        ("test_the_header_names_the_event_in_the_body",),
    ),
    Bug(
        "a list ends after its first page",
        "SyncTransport.pages",
        "cursor = page.next_cursor",
        "cursor = None",
        ("test_the_history_iterates_over_all_pages",),
    ),
    Bug(
        "listen takes every answer for acceptance",
        "listening:attempts",
        "accepted = isinstance(outcome, httpx.Response) and outcome.is_success",
        "accepted = isinstance(outcome, httpx.Response)",
        ("test_events_listen",),
    ),
    Bug(
        "listen notes an event before it is accepted",
        "events:_forward",
        "if followed.event.id in state.accepted: continue",
        """
        if followed.event.id in state.accepted:
            continue
        write_state(path, replace(state, accepted=(*state.accepted, followed.event.id)))
        """,
        ("test_a_position_outlives_the_program",),
    ),
    Bug(
        "listen forgets what it sent of a page",
        "events:_forward",
        "state = replace(state, accepted=(*state.accepted, followed.event.id))",
        "",
        ("test_a_position_outlives_the_program",),
    ),
    Bug(
        "verify starts a version that the stack doesn't run",
        "jobs:_lambda",
        "FunctionName=name, Qualifier=ALIAS",
        "FunctionName=name",
        ("test_a_verification_goes_on_until_it_has_finished",),
    ),
    Bug(
        "a job has no bar",
        "jobs:run_until_finished",
        "BarColumn(),",
        "",
        ("test_a_bar_counts_what_all_runs_have_done",),
    ),
    Bug(
        "a bar forgets the runs before",
        "jobs:run_until_finished",
        "total.get(name, 0) + result[name]",
        "result[name]",
        ("test_a_bar_counts_what_all_runs_have_done",),
    ),
    Bug(
        "the program ends with a traceback while it loads",
        "prepaid_command:main",
        "except KeyboardInterrupt: sys.exit(INTERRUPTED)",
        "",
        ("test_ctrl_c_is_quiet_while_the_program_starts",),
    ),
)
