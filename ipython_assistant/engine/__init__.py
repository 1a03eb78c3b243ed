"""The embedded engine: a Responses API with a code interpreter, in a process of its own.

Other processes reach it over HTTP only. It imports nothing of the package but `core`, and nothing of it imports this.
"""
