"""One `%load_ext` in a fresh shell: milliseconds, modules, resident memory. `python load_child.py MODULE|none`."""

import json
import resource
import sys
import time

from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "storemagic")  # the machinery of %load_ext itself is not what is measured
before = set(sys.modules)
began = time.perf_counter()
if sys.argv[1] != "none":
    shell.run_line_magic("load_ext", sys.argv[1])
took_ms = (time.perf_counter() - began) * 1000
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"ms": took_ms, "modules": len(set(sys.modules) - before), "peak_mb": peak_mb}))
