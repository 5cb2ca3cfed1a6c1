"""The five screens and the help."""
