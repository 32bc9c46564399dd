"""The local cloud: the real template on an AWS emulator, with a fake payment provider."""
