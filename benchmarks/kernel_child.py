"""A real kernel, watched as a front end watches it. `python kernel_child.py MODULE BASE_URL SCENARIO`.

`typing`: load, three seconds of typing, the first question; milliseconds of the load plus those to the first token.
`run-all`: load (MODULE `none`: nothing) and `import pandas` at once; milliseconds to the end of both.
"""

import json
import os
import sys
import time

from jupyter_client.manager import start_new_kernel

module, base_url, scenario = sys.argv[1:]
extra = {"OPENAI_API_KEY": "test-key", "OPENAI_BASE_URL": base_url}


os.environ.update(extra)
manager, client = start_new_kernel(kernel_name="python3")


def send(code, cell_id="cell-1"):
    """Send a cell with the metadata a live front end sends."""
    message = client.session.msg(
        "execute_request",
        {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False},
    )
    message["metadata"]["cellId"] = cell_id
    client.shell_channel.send(message)
    return message["header"]["msg_id"]


def wait(message_id, until):
    """Wait for an iopub message of a cell that `until` accepts."""
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") == message_id and until(message):
            return time.perf_counter()


def idle(message):
    """The cell has ended."""
    return message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"


def token(message):
    """The first word of the answer is on screen."""
    if message["msg_type"] == "error":
        raise SystemExit(f"the cell failed: {message['content']}")
    return "Token" in json.dumps(message["content"].get("data", message["content"].get("text", "")))


try:
    wait(send("1"), idle)
    if scenario == "typing":
        began = time.perf_counter()
        load_ms = (wait(send(f"%load_ext {module}"), idle) - began) * 1000
        time.sleep(3)  # the person types: this is the scenario, not a wait for something
        began = time.perf_counter()
        first_ms = (wait(send("%%assistant\nSay it.", "cell-2"), token) - began) * 1000
        figures = {"load_ms": load_ms, "first_token_ms": first_ms, "sum_ms": load_ms + first_ms}
    else:
        began = time.perf_counter()
        if module != "none":
            send(f"%load_ext {module}")
        figures = {"ms": (wait(send("import pandas", "cell-2"), idle) - began) * 1000}
    print(json.dumps(figures))
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
