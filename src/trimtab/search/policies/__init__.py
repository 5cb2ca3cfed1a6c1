"""Policies that decide what a search does next: a new setting, a neighbour of the best, another seed, or the rest of a run.

They are the four classes of Powell's sequential decision analytics: a rule (`pfa`), an optimistic estimate (`cfa`), a learned
value of each kind of decision (`vfa`), and a look ahead (`dla`).
"""
