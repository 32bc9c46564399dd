"""The verifier: reads the whole table and checks every row against the result of the rules.

    running.py         one run: reads pages while there is time, and saves its passes
    scan_pass.py       a whole pass: every row of the table, page by page
    recent_pass.py     a recent pass: what is new in each account since its mark
    checking.py        what both do with a row: check it, recheck before they report, save marks
    account_audit.py   one account's rows, in order: chain, replay, sums, purchases
    stored_audit.py    an unfinished audit as JSON, for the next run or recent pass
    replay.py          recomputes an entry from the state before it, with the core's own rules
    index_rows.py      rows outside the ledgers that refer to one: claims, due rows, payments; and catalog versions
    statement_rows.py  stored statements of closed months
    auxiliary_rows.py  rows on which no credit depends: codes, sessions, work lists, checkpoints
    lookup.py          the other rows, catalog versions and time that a check compares with
    tally.py           checks that each entry has its claim, in memory of a fixed size
    findings.py        the kinds of findings

Memory holds one page and the rows it refers to, the tally, and the purchases and lots of the current account.

The replay uses the same code that wrote the entries, so it can't detect errors in the rules; the tests do.
"""
