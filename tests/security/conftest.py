"""The attacks run where the functions' tests run: on an AWS in this process."""

from tests.support.moto_fixtures import aws, table

__all__ = ["aws", "table"]
