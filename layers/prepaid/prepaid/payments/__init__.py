"""Payments: the only package that calls Stripe."""
