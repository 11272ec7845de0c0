"""A small company in a box: real servers on loopback that the real client libraries talk to.

`company/` is the one readable definition of the company and of the faults that can be switched on;
`company.py` loads it; `web.py` is the HTTP server that all parts share, with its switchable misbehaviour;
each sub-package is one vendor. Production code does not know that any of this exists: it is pointed here by
configured endpoints and by the ordinary credential variables.
"""
