"""The HTTP API: one module per group of routes, and their shared code in http/. No other package handles HTTP."""
