"""The only part that knows Stripe."""
