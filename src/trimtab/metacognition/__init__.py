"""Metacognition: a model that says how it will think, for how long and how sure it is, and is held to it."""
