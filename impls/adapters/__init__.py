"""How each framework is told what to hold: the adapters, without any op."""
