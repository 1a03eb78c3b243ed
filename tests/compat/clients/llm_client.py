"""llm: its command line with the code interpreter tool, streamed and not. It offers no files."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from flow import FIRST, MODEL, done

with tempfile.TemporaryDirectory() as folder:
    about = f"model_name: {MODEL}\n  api_base: {os.environ['OPENAI_BASE_URL']}"
    models = f"- model_id: compat\n  {about}\n  responses: true\n  api_key_name: compat\n"
    Path(folder, "extra-openai-models.yaml").write_text(models)
    Path(folder, "keys.json").write_text(json.dumps({"compat": os.environ["OPENAI_API_KEY"]}))
    for more in ([], ["--no-stream"]):
        command = [Path(sys.executable).with_name("llm"), "-m", "compat", "-T", "CodeInterpreter", *more, FIRST]
        environment = {**os.environ, "LLM_USER_PATH": folder}
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert "made.csv" in said.stdout, said.stderr or said
done("streamed and not (it offers no files)")
