"""The use cases of the service, one module each. Plain arguments and results; api and portal handle HTTP."""
