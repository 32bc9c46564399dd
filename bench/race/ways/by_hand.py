"""What a team writes by hand on DynamoDB: Powertools' idempotency around an update and a put."""

from bench.debits import ByHand, new_table
from bench.race.ways.units import Units


def prepare(_where: str) -> str:
    """Create a table. The endpoint is in AWS's environment variables."""
    return new_table()


class Caller(ByHand):
    """One warm function, with a client of its own."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.units = Units(self.client)
