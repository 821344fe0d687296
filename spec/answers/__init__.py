"""What a call must give, derived from the definition."""
