"""`make bench`: debits a second, beside what a team would use instead."""
