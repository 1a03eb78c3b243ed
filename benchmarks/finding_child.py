"""Seconds that looking for model servers takes: `finding_child.py none|silent` (nothing listens, or all hang)."""

import contextlib
import json
import socket
import sys
import time
from dataclasses import replace

from ipython_assistant.core import providers
from ipython_assistant.service import model_servers

table = dict(providers.providers())
with contextlib.ExitStack() as stack:
    for word in ("ollama", "lmstudio", "llamacpp", "vllm"):
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        if sys.argv[1] == "silent":
            listener.listen()  # the kernel accepts the connection, and nothing ever answers
        table[word] = replace(table[word], address=f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    model_servers.providers = lambda: table
    began = time.perf_counter()
    found = model_servers.find_servers({})
    print(json.dumps({"s": time.perf_counter() - began, "found": len(found)}))
