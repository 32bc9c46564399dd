"""The HTTP API: one module per group of routes. Their shared code is in http/, which the portal package uses too."""
