"""A question about tables becomes a typed plan; this machine writes the plan's code, and checks one against the other.

In the order in which a question passes through: `mentions` (what it names), `english` (the words around that, and how
they stand to one another), `reader` and `schema` (what a model is asked to fill in), `plan` (the typed value), `settle`
and `checks` (what it leaves open, and the question against it), `rows_code` and `pandas_code` (its Python), `words`
(how it was read, and what came of it).
"""
