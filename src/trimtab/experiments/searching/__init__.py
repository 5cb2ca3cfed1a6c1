"""Searches for the settings of training runs: run in a folder, resumed exactly, confirmed on fresh seeds."""
