"""What may be written: the formula language, signatures and the tables of a card; nothing here evaluates anything."""
