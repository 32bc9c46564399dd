"""Fixtures of the security tests: those of the functions' tests, on an AWS in this process."""

from tests.support.moto_fixtures import aws, table

__all__ = ["aws", "table"]
