"""Who is asked, and what a target says of itself."""
