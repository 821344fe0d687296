"""Golden vectors: calls with what they must give, for programs that are not written in Python."""
