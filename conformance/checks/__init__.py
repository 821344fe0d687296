"""How a clause is asked: one module a kind."""
