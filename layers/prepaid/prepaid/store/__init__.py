"""Persistence: the only package that calls DynamoDB. `dynamodb.py` translates its errors."""
