"""The usual shape of an AI extension: the SDK and pandas imported when it is loaded."""

import openai
import pandas  # noqa: F401 the import is what is measured
from IPython.core.magic import Magics, cell_magic, magics_class


@magics_class
class EagerMagics(Magics):
    """Asks with a client made at load, and shows each delta."""

    def __init__(self, shell):
        super().__init__(shell)
        self.client = openai.OpenAI()

    @cell_magic
    def assistant(self, line, cell):
        """Ask, and print the text as it comes."""
        stream = self.client.responses.create(model="test-model", input=cell, stream=True)
        for event in stream:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)


def load_ipython_extension(shell):
    """Called by `%load_ext`."""
    shell.register_magics(EagerMagics)
