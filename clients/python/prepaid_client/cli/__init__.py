"""The command line `prepaid`."""
