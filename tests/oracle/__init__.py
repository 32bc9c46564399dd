"""A second implementation of the rules (docs/rules.md) that shares no code with the service: see README.md."""
