"""A model's figures: loss, accuracy, calibration, and what its texts are like.

Import from the modules: `calibration` needs no torch, and a report that is drawn from records should not wait for it.
"""
