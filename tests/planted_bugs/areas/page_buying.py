"""Bugs in how the subscription page sells, and in what it says of a purchase."""

from tests.planted_bugs.bug import Bug

PAGE_BUYING = (
    Bug(
        "a pending purchase forgets its code",
        "next_step",
        "voucher=status.voucher,",
        "",
        ("test_the_code_is_stored_and_read_while_pending",),
    ),
    Bug(
        "a paid purchase keeps its code",
        "as_paid_unmatched",
        'state="paid", version=purchase.version + 1, changed_at=now, voucher=None',
        'state="paid", version=purchase.version + 1, changed_at=now',
        ("test_money_that_is_checked_needs_no_code",),
    ),
    Bug(
        "a double click buys twice",
        "portal:_purchase",
        '_key(signed.token, "purchase", nonce, pack)',
        '_key(signed.token, "purchase", _new_nonce(deps), pack)',
        ("test_a_double_click_with_the_code_is_one_purchase",),
    ),
    Bug(
        "Back and another pack is the first pack again",
        "portal:_key",
        "f'{use}\\n{nonce}\\n{pack}'",
        "f'{use}\\n{nonce}'",
        ("test_back_and_another_pack_is_another_purchase",),
    ),
    Bug(
        "a code once typed pays for every purchase",
        "_has_first_session",
        "return session.purchase is None",
        "return True",
        ("test_portal_buying",),
    ),
    Bug(
        "a form of packs is accepted without its token",
        "portal:buy",
        'check_form_token(fields, signed.token, _form(fields.get("nonce", "")))',
        "",
        ("test_a_changed_form_buys_nothing",),
    ),
    Bug(
        "a form's token is good for any nonce",
        "portal:_form",
        'return f"buy\\n{nonce}"',
        'return "buy"',
        ("test_a_changed_form_buys_nothing",),
    ),
    Bug(
        "a retry after an expired purchase repeats it permanently",
        "_packs_again",
        'failure, nonce = Failure(reason="order_old", status=409, pack=pack), _new_nonce(deps)',
        'failure = Failure(reason="order_old", status=409, pack=pack)',
        ("test_a_purchase_that_began_too_long_ago_is_begun_anew",),
    ),
    Bug(
        "a code that ran out still waits for its payment",
        "view_of",
        "ended = purchase.voucher is not None and purchase.voucher.expires_at <= now",
        "ended = False",
        ("test_a_voucher_that_ran_out_charged_nothing",),
    ),
    Bug(
        "money that is checked is on no other page",
        "AWAITED",
        '("pending", "paid")',
        '("pending",)',
        ("test_money_that_is_checked_is_not_called_waiting",),
    ),
    Bug(
        "an open purchase is offered at every pack",
        "unfinished",
        "if purchase.pack == pack and",
        "if",
        ("test_an_open_purchase_of_the_pack_can_be_continued",),
    ),
    Bug(
        "yesterday's payment page is offered",
        "can_open",
        'return purchase.state == "open" and now < purchase.created_at + PAGE_OPEN',
        'return purchase.state == "open"',
        ("test_a_payment_page_of_yesterday_is_not_offered",),
    ),
    Bug(
        "the way to the payment page is blocked",
        "security_headers",
        "f\"form-action 'self' {portal.checkout_origin}; \"",
        "\"form-action 'self'; \"",
        ("test_every_page_has_the_security_headers",),
    ),
    Bug(
        "a logo opens its whole site to the page",
        "security_headers",
        'f" {logo}"',
        'f" {logo[:-len(logo.partition("//")[2].partition("/")[2])]}"',
        ("test_the_page_has_the_name_and_logo_of_the_platform",),
    ),
)
