"""The rules of credits, pure: no IO, no clock, no environment. `now`, ids and the catalog are arguments."""
