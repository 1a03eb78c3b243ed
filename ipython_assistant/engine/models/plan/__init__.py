"""A question about tables becomes a typed plan; this machine writes the plan's code, and checks one against the other.

In the order in which a question passes through: `tables` (what is in the files), `mentions` (what the question names),
`schema` and `prompt` (what a model is asked to fill in), `plan` (the typed value), `checks` (question against plan),
`words` (the plan read back), `pandas_code` and `chart_code` (its Python), `answer` (running it, and what is said then).
"""
