"""The far side of the wall: the process that imports a candidate, calls it, and says what came.

It holds no answer, and imports of einspec no more than adapters, cards and the protocol.
"""
