"""What a command of ``einspec`` raises where it cannot do what it was asked."""


class UsageError(Exception):
    """A command cannot do what it was asked; the message says what to do instead."""
