"""A question about tables becomes a typed plan; this machine writes the plan's code, and checks one against the other.

In the order in which a question passes through: `mentions` (what the question names), `relations` (how these stand to
one another), `reader` and `schema` (what a model is asked to fill in), `plan` (the typed value), `settle` and `checks`
(what it leaves open, and the question against it), `pandas_code`, `conditions` and `chart_code` (its Python), `words`
(how it was read, and what came of it).
"""
