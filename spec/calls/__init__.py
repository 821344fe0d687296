"""Which calls of an op are legal, and which of them are asked."""
