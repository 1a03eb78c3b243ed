"""What is shown of a large file: `preview_child.py csv-head|csv-pandas|picture PATH`; milliseconds, and bytes kept."""

import json
import sys
import time
from pathlib import Path

what, path = sys.argv[1], Path(sys.argv[2])


def picture():
    """The bytes that a picture adds to the notebook: what its output is as JSON."""
    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.display import previews
    from ipython_assistant.workspace.excerpts import read_picture

    began = time.perf_counter()
    preview = read_picture(path, "image/png")
    taken = time.perf_counter() - began
    artifact = Artifact(path.name, path.name, path, path.name, path.stat().st_size, "", "image/png")
    shown = previews.picture(artifact, preview.content, preview.media_type), previews.caption(artifact, "smaller")
    return {"ms": taken * 1000, "bytes": len(json.dumps(shown)), "size": path.stat().st_size}


def csv_head():
    """The head and the size of a table."""
    from ipython_assistant.workspace.tables import read_head

    began = time.perf_counter()
    head = read_head(path, "text/csv")
    return {"ms": (time.perf_counter() - began) * 1000, "rows": head.row_count, "pandas": int("pandas" in sys.modules)}


def csv_pandas():
    """The whole table; its import is not counted."""
    import pandas as pd

    began = time.perf_counter()
    frame = pd.read_csv(path)
    return {"ms": (time.perf_counter() - began) * 1000, "rows": len(frame)}


print(json.dumps({"csv-head": csv_head, "csv-pandas": csv_pandas, "picture": picture}[what]()))
