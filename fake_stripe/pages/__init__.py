"""The pages that people see: the payment page and the dashboard. Start with routes.py and templates/."""
