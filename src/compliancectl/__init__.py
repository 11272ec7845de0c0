"""compliancectl: prove or disprove what a company promises about security and privacy.

    compliancectl.yaml ──collect──▶ evidence ──evaluate──▶ results ──bundle──▶ bundle ──report──▶ PDF
      (scope)             ▲                        ▲                            │
                      collectors              controls/*.yaml                 verify (anyone, offline)
                  GCP · PostgreSQL · GitHub   waivers.yaml
                  documents

Each stage is a function of files to files. `collect` holds the credentials and the network and decides
nothing; `evaluate` has neither and decides everything; `verify` trusts nobody.
"""

__version__ = "0.1.0"
