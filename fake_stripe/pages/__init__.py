"""The payment page and the dashboard. Read routes.py and templates/ first."""
