"""A fake Stripe for local development and tests. Read README.md first, then state.py and api.py."""
