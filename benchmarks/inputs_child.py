"""Inputs that are uploaded: `inputs_child.py cells|obvious`, `upload-ours|upload-obvious PATH URL`, or `sink`.

`cells`: two cells with the same DataFrame of 500,000 rows; milliseconds of each, and uploads made by the second.
`obvious`: the same written as CSV and uploaded with the SDK, twice; milliseconds of the second.
`upload-...`: one large file uploaded; megabytes that the process grew by at its largest, and milliseconds.
`sink`: a service that takes any upload and keeps none; prints one JSON line with its URL, ends when its stdin closes.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROWS = 500_000
PIECE = 1 << 20


def frame():
    """Codes, numbers, dates and truth values."""
    import numpy as np
    import pandas as pd

    count = np.arange(ROWS)
    return pd.DataFrame(
        {
            "code": np.array([f"{n:05d}" for n in range(997)], dtype=object)[count % 997],
            "n": count * 7,
            "share": count / 7,
            "day": pd.Timestamp("2000-01-01") + pd.to_timedelta(count % 9000, unit="D"),
            "treated": count % 2 == 0,
        }
    )


def cells():
    """Two cells in a shell, against a scripted service."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from tests_support import events as wire
    from tests_support.scripted import ScriptedService

    os.chdir(tempfile.mkdtemp())
    took, uploads = [], []
    with ScriptedService() as service:
        os.environ |= {"OPENAI_API_KEY": "test-key", "OPENAI_BASE_URL": service.url}
        shell = InteractiveShell.instance()
        shell.run_line_magic("load_ext", "ipython_assistant")
        shell.user_ns["cases"] = frame()
        for number in ("one", "two"):
            service.will_say([wire.Code("1", container_id="cntr_test_1"), wire.Message("Done.")])
            with capture_output():
                began = time.perf_counter()
                outcome = shell.run_cell(f"%%assistant -i cases --yes\nQuestion {number}.", store_history=True)
                took.append((time.perf_counter() - began) * 1000)
            outcome.raise_error()
            uploads.append(len(service.asked("^POST /v1/containers/.*/files$")) - sum(uploads))
        shell.run_line_magic("unload_ext", "ipython_assistant")
    assert uploads[0] == 1
    return {"first_ms": took[0], "second_ms": took[1], "uploads": uploads[1]}


def obvious():
    """What one writes by hand, in every cell."""
    import openai
    from tests_support.scripted import ScriptedService

    cases, path = frame(), Path(tempfile.mkdtemp(), "cases.csv")
    with ScriptedService() as service:
        client = openai.OpenAI(api_key="test-key", base_url=service.url)
        for _ in range(2):
            began = time.perf_counter()
            cases.to_csv(path, index=False)
            with path.open("rb") as file:
                client.containers.files.create("cntr_test_1", file=file)
            took = (time.perf_counter() - began) * 1000
        client.close()
    return {"ms": took}


def upload(whose, path, url):
    """One file, by our client or by the line in the SDK's documentation."""
    import openai

    from ipython_assistant.service.accounts import over_client

    client = openai.OpenAI(api_key="test-key", base_url=url)
    small = Path(tempfile.mkdtemp(), "small.csv")
    small.write_text("a\n1\n")
    ours = over_client(client)
    ours.upload("cntr_warm", small.name, small).json()  # what is imported and connected at first use
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    if whose == "ours":
        ours.upload("cntr_one", path.name, path).json()
    else:
        client.containers.files.create("cntr_one", file=path)
    took = (time.perf_counter() - began) * 1000
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    client.close()
    return {"added_mb": (after - before) / 1000, "ms": took}


class Sink(BaseHTTPRequestHandler):
    """Reads to the end and keeps nothing."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(PIECE, left)))
        body = json.dumps({"id": "cfile_1", "path": "/mnt/data/file"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


def sink():
    """Serve until stdin closes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_address[1]}/v1"}), flush=True)
    sys.stdin.read()
    server.shutdown()


match sys.argv[1:]:
    case ["sink"]:
        sink()
    case ["cells"]:
        print(json.dumps(cells()))
    case ["obvious"]:
        print(json.dumps(obvious()))
    case [what, path, url]:
        print(json.dumps(upload(what.removeprefix("upload-"), Path(path), url)))
