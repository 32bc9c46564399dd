"""The verifier: reads all of a table and holds every row against what the rules make of the rows before it.

    scan_pass.py    one walk over the table, page by page: resumes anywhere, looks twice before it says anything
    audit.py     one account's rows, in order: chain, replay, sums, purchases
    replay.py    what an entry must have been, from the state before it: the core carries it out again
    index_rows.py      rows that belong to no ledger but name one: claims, due lots, payments, catalog versions
    auxiliary_rows.py     rows on which no credit depends: codes, sessions, lists of work, places to go on
    tally.py     whether each entry has its claim, in memory of a fixed size
    findings.py  what can be found

In memory are a page with the rows it names, the tally, and the purchases and their lots of the one account in hand.

What replays is the code that wrote: whether that is right, the tests say.
"""
