"""The front-end edge: what a notebook shows of an answer, while it is written and ever after."""
