"""Checks each write as it is committed: who made it, and what that request must and must not write."""
