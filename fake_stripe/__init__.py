"""A fake Stripe for local development and tests; start with README.md, then read state.py and api.py."""
