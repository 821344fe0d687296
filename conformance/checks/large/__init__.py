"""The tier large: calls with more elements than 32 bits can count."""
