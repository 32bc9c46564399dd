"""The HTTP API: one module per group of routes, and their shared code in http/. Only the portal package uses http/ too."""
