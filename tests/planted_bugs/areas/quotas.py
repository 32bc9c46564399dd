"""Bugs in quotas of several features, and in how an entry says what they moved."""

from tests.planted_bugs.bug import Bug

QUOTAS = (
    Bug(
        "a feature draws on the quota of another",
        "account:quota_remaining",
        "return quotas_remaining(account, catalog).get(feature.id, 0)",
        "return sum(quotas_remaining(account, catalog).values())",
        ("test_quota",),
    ),
    Bug(
        "a renewal clears one quota only",
        "settle",
        "renewed = replace(account, quotas_used={}, quota_renews_at=",
        "renewed = replace(account, quotas_used=dict(list(account.quotas_used.items())[1:]), quota_renews_at=",
        ("test_quota",),
    ),
    Bug(
        "a period in which another feature was used renews without an entry",
        "settle",
        "if account.quotas_used:",
        'if "ai_service" in account.quotas_used:',
        ("test_account_over_time",),
    ),
    Bug(
        "a plan change forgets used units of other features",
        "_change_terms",
        "after = replace(account, terms=new)",
        "after = replace(account, terms=new, quotas_used=dict(list(account.quotas_used.items())[:1]))",
        ("test_quota",),
    ),
    Bug(
        "use of one feature forgets the use of the others",
        "with_used",
        "{**used, feature: total}.items()",
        "{feature: total}.items()",
        ("test_quota",),
    ),
    Bug(
        "the switch turns off one quota only",
        "quota_limits",
        "if not account.terms.ai_enabled: return {}",
        """
        if not account.terms.ai_enabled:
            quotas = catalog.plan(account.terms.plan).quotas
            return {name: units for name, units in quotas.items() if name != "ai_service" and units}
        """,
        ("test_quota",),
    ),
    Bug(
        "an entry says what is left of all quotas instead of its own",
        "entry_between",
        "quota_remaining=left[feature] if feature in left else sum(left.values())",
        "quota_remaining=sum(left.values())",
        ("test_quota",),
    ),
    Bug(
        "quotas that move against each other are not said",
        "entry_between",
        "quotas={name: units for name, units in changes.items() if units}",
        "quotas={name: units for name, units in changes.items() if units} if sum(changes.values()) else {}",
        ("test_quota",),
    ),
    Bug(
        "a quota of a feature that doesn't exist is accepted",
        "with_retired",
        "errors += _unknown_quotas(merged)",
        "",
        ("core/test_catalog",),
    ),
    Bug(
        "the balance shows the first quota only",
        "balances:_quotas",
        "for feature, limit in quota_limits(account, catalog).items()",
        "for feature, limit in list(quota_limits(account, catalog).items())[:1]",
        ("functions/test_several_quotas",),
    ),
    Bug(
        "the page shows the first quota only",
        "subscription:_quotas",
        "for feature, limit in quota_limits(account, catalog).items()",
        "for feature, limit in list(quota_limits(account, catalog).items())[:1]",
        ("functions/test_several_quotas",),
    ),
)
