"""From calls, answers and outcomes to verdicts, and failures as somebody reads them."""
