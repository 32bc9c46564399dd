"""Every planted bug, by area."""

from tests.planted_bugs.areas.api import API
from tests.planted_bugs.areas.client import CLIENT
from tests.planted_bugs.areas.crowds import CROWDS
from tests.planted_bugs.areas.erasures import ERASURES
from tests.planted_bugs.areas.events import EVENTS
from tests.planted_bugs.areas.holds import HOLDS
from tests.planted_bugs.areas.ledger import LEDGER
from tests.planted_bugs.areas.lookups import LOOKUPS
from tests.planted_bugs.areas.manager_code import MANAGER_CODE
from tests.planted_bugs.areas.page import PAGE
from tests.planted_bugs.areas.page_buying import PAGE_BUYING
from tests.planted_bugs.areas.page_reading import PAGE_READING
from tests.planted_bugs.areas.purchases import PURCHASES
from tests.planted_bugs.areas.quotas import QUOTAS
from tests.planted_bugs.areas.reconciliation import RECONCILIATION
from tests.planted_bugs.areas.statements import STATEMENTS
from tests.planted_bugs.areas.store import STORE
from tests.planted_bugs.areas.stripe import STRIPE
from tests.planted_bugs.areas.support import SUPPORT
from tests.planted_bugs.areas.sweep import SWEEP
from tests.planted_bugs.areas.template import TEMPLATE
from tests.planted_bugs.areas.verifier import VERIFIER

AREAS = {
    "ledger": LEDGER,
    "holds": HOLDS,
    "quotas": QUOTAS,
    "erasures": ERASURES,
    "purchases": PURCHASES,
    "lookups": LOOKUPS,
    "manager_code": MANAGER_CODE,
    "page": PAGE,
    "page_buying": PAGE_BUYING,
    "page_reading": PAGE_READING,
    "store": STORE,
    "crowds": CROWDS,
    "statements": STATEMENTS,
    "sweep": SWEEP,
    "events": EVENTS,
    "stripe": STRIPE,
    "reconciliation": RECONCILIATION,
    "api": API,
    "template": TEMPLATE,
    "verifier": VERIFIER,
    "support": SUPPORT,
    "client": CLIENT,
}
BUGS = tuple(bug for bugs in AREAS.values() for bug in bugs)
