"""The embedded engine: a Responses API with a code interpreter, in a process of its own.

Its one door is HTTP. It imports nothing of the rest of the package and nothing of the rest imports it.
"""
