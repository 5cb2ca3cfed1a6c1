"""The recipe of a run of the kind `thinking`: learn to think, observe, learn to decide, compare budgets."""
