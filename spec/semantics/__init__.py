"""What a definition means: interpreters, rounding errors and derived definitions; nothing here knows a judge."""
