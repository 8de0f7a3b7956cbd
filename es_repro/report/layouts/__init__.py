"""How tables are laid out: each module turns a table's numbers into a `Sheet`. Pure."""
