"""Collectors obtain evidence from one source each; they decide nothing.

`base` holds the interface that every collector implements, ours and anyone else's alike; `calls` the one way
in which HTTP requests are retried and recorded. Each sub-package or module is one source, found through the
entry points `compliancectl.collectors`.
"""
