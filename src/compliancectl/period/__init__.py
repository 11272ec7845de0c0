"""The observation period, from the bundles of its runs.

`capture` reads one bundle, `spans` counts slots and gaps, `items` unites populations, `judge` concludes.
"""
