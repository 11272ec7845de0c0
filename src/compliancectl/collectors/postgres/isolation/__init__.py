"""Tenant isolation: whether one tenant's session can reach another tenant's rows, and through which gap.

Three levels, each in READ ONLY transactions:

* L0, `rules`: facts of the catalogue and the rules over them; needs CONNECT alone.
* L1, `predicates`: the policies' own expressions, evaluated as the application's role in each declared context on
  rows of this and of the other tenant. The server decides what an expression means; its text is only a hint.
* L2, `rows`: how many rows of other tenants each session really sees, with denominators.

`fetch` keeps what the server answered: never a row's values, only which kind of row an expression accepted and how
many rows there were. `judge` is pure and turns that into verdicts.
"""
