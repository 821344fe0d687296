"""The judge: what implementations promise by the cards, checked."""
