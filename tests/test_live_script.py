"""`make live`, with a scripted service in place of the real one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests_support import events as wire
from tests_support.scripted import Answer

SCRIPT = Path(__file__).parent / "live" / "run_live.py"
KEY = "sk-live-test-0123456789abcdef"


def run_live(folder, service=None):
    environment = os.environ | ({"OPENAI_API_KEY": KEY} if service else {})
    upstream = ["--upstream", service.url] if service else []
    command = [sys.executable, SCRIPT, folder, "--yes", *upstream]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_live_script_without_a_key_says_what_it_would_do_and_asks_nothing(tmp_path):
    done = run_live(tmp_path / "live")
    assert done.returncode == 0, done.stderr
    assert "$0.30" in done.stdout
    assert "OPENAI_API_KEY" in done.stdout
    assert not (tmp_path / "live").exists()


@pytest.mark.slow
def test_the_live_script_runs_its_cells_and_records_traffic_without_the_key(tmp_path, service):
    csv = b"district,value\nA,1\n"
    tables = ("by_district.csv", "change.csv", "visits_by_month.csv", "again.csv")
    for name in tables:
        service.put(name, csv, name)
        service.will_say([wire.Code("..."), wire.cited((name, name))])
    expired = Answer(json.dumps({"id": wire.CONTAINER, "status": "expired"}).encode())
    service.on("^GET /v1/containers/[^/]+$", lambda _: expired)
    service.will_say([wire.Message("Here it is.")])
    done = run_live(tmp_path / "live", service)
    assert done.returncode == 0, done.stdout + done.stderr
    report = (tmp_path / "live" / "report.md").read_text()
    assert report.count(": passed in ") == 5
    assert "code_interpreter_call 4" in report
    traffic = list((tmp_path / "live" / "traffic").iterdir())
    assert len([path for path in traffic if path.suffix == ".sse"]) == 5
    assert all("request" in json.loads(path.read_text()) for path in traffic if path.name.endswith(".request.json"))
    everything = b"".join(path.read_bytes() for path in (tmp_path / "live").rglob("*") if path.is_file())
    assert KEY.encode() not in everything
