"""5,000 tokens shown in a real kernel: what reaches a front end, and what it costs. `python live_child.py SCHEME`.

Tokens arrive at 200 a second of a simulated clock, so that nothing is slept. `ours` is the live output of this package;
`per-token` updates a Markdown output at every token, the usual way. Every byte is counted that a client reads from the
iopub socket between busy and idle; `lost_end` is 1 if the last state it read is not the whole text.
"""

import json
import sys
import time

from jupyter_client.manager import start_new_kernel

SETUP = """
import time
from IPython.display import Markdown, display
from ipython_assistant.display import outputs
from ipython_assistant.display.live import FrontEnd, LiveOutput

WORDS = "Coverage rose in most districts between 2015 and 2022, and fell where clinics closed early. ".split(" ")
TOKENS = [("\\n\\n" if at and at % 120 == 0 else "") + WORDS[at % len(WORDS)] + " " for at in range(5000)]
published = 0


def ours():
    at, text = 0, ""
    with LiveOutput(FrontEnd(live=True, cell_id="c"), clock=lambda: at / 200) as live:
        live.update("", "connecting")
        for at, token in enumerate(TOKENS):
            text += token
            live.update(text, "writing")
        live.finish(outputs.answer(text, {}))
    return text


def per_token():
    text = ""
    shown = display(Markdown(text), display_id=True)
    for token in TOKENS:
        text += token
        shown.update(Markdown(text))
    return text


def measured(scheme):
    began = time.process_time()
    text = scheme()
    return {"cpu_ms": (time.process_time() - began) * 1000, "text": len(text.encode())}


outputs.answer("**a** `b`", {})  # what a first answer imports is not part of it
"""

scheme = sys.argv[1].replace("-", "_")
manager, client = start_new_kernel(kernel_name="python3")


def run(code, expression):
    """Run a cell; the value of an expression after it, and what came by."""
    sent = client.session.msg(
        "execute_request",
        {
            "code": code,
            "silent": False,
            "store_history": False,
            "user_expressions": {"value": expression},
            "allow_stdin": False,
        },
    )
    client.shell_channel.send(sent)
    socket, size, messages, last = client.iopub_channel.socket, 0, 0, None
    while socket.poll(60_000):
        frames = socket.recv_multipart()
        header, parent, _, content = (json.loads(frame) for frame in frames[frames.index(b"<IDS|MSG>") + 2 :][:4])
        if parent.get("msg_id") != sent["header"]["msg_id"]:
            continue
        if header["msg_type"] == "error":
            raise SystemExit("\n".join(content["traceback"]))
        if header["msg_type"] == "status" and content["execution_state"] == "idle":
            break
        if header["msg_type"].endswith("display_data"):
            size, messages, last = size + sum(map(len, frames)), messages + 1, content
    reply = client.get_shell_msg(timeout=60)
    while reply["parent_header"]["msg_id"] != sent["header"]["msg_id"]:
        reply = client.get_shell_msg(timeout=60)
    return reply["content"]["user_expressions"]["value"]["data"]["text/plain"], size, messages, last


try:
    run(SETUP, "1")
    began = time.perf_counter()
    value, size, messages, last = run(f"figures = measured({scheme})", "__import__('json').dumps(figures)")
    figures = json.loads(value.strip("'"))
    end = last["data"].get("text/markdown", last["data"]["text/plain"])
    print(
        json.dumps(
            {
                **figures,
                "bytes": size,
                "messages": messages,
                "lost_end": int(len(end.encode()) != figures["text"]),
                "wall_ms": (time.perf_counter() - began) * 1000,
            }
        )
    )
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
