"""Each way to debit: a module with `prepare(where)`, and a class `Caller` with `open`, `debit` and `spent`.

A module runs in its contender's own environment, so it imports nothing of the others.
"""
