"""The only part that knows HTTP: who is calling, what was asked, how answers and refusals look on the wire."""
