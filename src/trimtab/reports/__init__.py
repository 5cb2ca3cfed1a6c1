"""Plots and pages from the records of runs."""
