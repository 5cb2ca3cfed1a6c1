"""Data with thoughts: problems, how they become tokens, and tasks that have them."""
