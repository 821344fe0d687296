"""Reports: written while a run goes on, read back, merged, compared, and shown as a page or a summary."""
