"""The use cases of the service, one module each. Plain arguments and results; the api package handles HTTP."""
