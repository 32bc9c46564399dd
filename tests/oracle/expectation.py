"""How a difference between the service and the rules is reported."""


class Broken(AssertionError):
    """The service did not do what the rules require."""


def must(holds: object, message: str) -> None:
    """Require that something holds. `message` states the requirement or the fault. Raises Broken."""
    if not holds:
        raise Broken(message)


def same(found: object, expected: object, about: str) -> None:
    """Require that a value is the one that the rules give. Raises Broken."""
    if found != expected:
        raise Broken(f"{about}\n  is        {found}\n  should be {expected}")
