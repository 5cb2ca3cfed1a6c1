"""Budgets for thoughts, compared on the outcomes that thinking runs recorded."""
