"""What a command would cost, before it is begun."""
