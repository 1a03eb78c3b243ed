"""A question about tables becomes a typed plan; this machine writes the plan's code, and checks one against the other.

In the order in which a question passes through: `table_profiles` (what is in the files), `mentions` (what the question
names), `reader` and `schema` (what a model is asked to fill in), `plan` (the typed value), `checks` and `settle`
(question against plan, and what it leaves open), `words` (the plan read back), `pandas_code`, `conditions` and
`chart_code` (its Python), `programs` (running it, and what is said then).
"""
