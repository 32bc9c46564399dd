"""The local cloud: the real template on an AWS emulator, with a payment provider beside it."""
