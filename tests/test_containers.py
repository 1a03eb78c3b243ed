"""service.containers and what the session does with them: policy, expiry, deleting, fetching again."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests_support import events as wire
from tests_support.scripted import Answer, listing, refusal

from ipython_assistant import collect_files, errors
from ipython_assistant.service import containers
from ipython_assistant.service.client import Reply
from ipython_assistant.turn_run import retry

CSV = b"a\n1\n"


def will_use(hosted, *container_ids):
    for number, name in enumerate(container_ids, start=1):
        hosted.will_say([wire.Code("1", container_id=name), wire.Message("x")], response_id=f"resp_{number}")


def test_a_cell_that_runs_again_deletes_the_container_that_no_other_cell_goes_on_in(hosted, notebook):
    will_use(hosted, "cntr_a", "cntr_a", "cntr_b", "cntr_c")
    for name in ("cell-1", "cell-2", "cell-1"):
        notebook.ask(name, "Ask.")
    assert hosted.asked("^DELETE") == []
    notebook.ask("cell-1", "Ask.")
    assert [request.path for request in hosted.waits_for("^DELETE")] == ["/v1/containers/cntr_b"]


def test_a_service_that_does_not_answer_a_delete_holds_nobody_up(hosted, notebook, monkeypatch):
    asked, answered = threading.Event(), threading.Event()
    monkeypatch.setattr(containers, "DELETE_WITHIN_S", 0.05)
    hosted.on("^DELETE", lambda _request: [asked.set(), answered.wait(20), Answer(b"{}")][2])
    will_use(hosted, "cntr_a", "cntr_b")
    assert [notebook.ask("cell-1", "Ask.").value.text for _ in range(2)] == ["x", "x"]
    assert asked.wait(10)
    assert not answered.is_set()
    answered.set()


def test_unloading_deletes_the_containers_that_were_used(notebook, hosted):
    will_use(hosted, "cntr_a")
    notebook.ask("A", "Ask.")
    notebook.shell.run_line_magic("unload_ext", "ipython_assistant")
    assert [request.path for request in hosted.asked("^DELETE")] == ["/v1/containers/cntr_a"]


def test_retry_fetches_what_was_missing_and_nothing_else(notebook, hosted, notebook_dir):
    with pytest.raises(errors.OptionError, match="could be fetched again"):
        retry(notebook.session)
    hosted.put("a.csv", CSV, "cfile_a")
    hosted.put("b.csv", b"b\n2\n", "cfile_b")
    hosted.on("GET .*cfile_b/content", lambda _request: refusal("Broken for now.", 403))
    hosted.will_say([wire.Code("x"), wire.cited(("a.csv", "cfile_a"), ("b.csv", "cfile_b"))])
    with pytest.raises(errors.FilesMissing):
        notebook.ask("A", "Ask.")
    hosted.on("GET .*cfile_b/content", lambda _request: Answer(b"b\n2\n"))
    answer = retry(notebook.session)
    assert set(answer.files) == {"a.csv", "b.csv"}
    assert (notebook_dir / "assistant_files" / "b.csv").read_bytes() == b"b\n2\n"
    assert "[b.csv](assistant_files/b.csv)" in answer.text
    assert len(hosted.asked("GET .*cfile_a/content")) == 1


def test_retry_finds_uncited_files_when_the_listing_failed_before(notebook, hosted):
    hosted.put("a.csv", CSV, "cfile_a")
    hosted.on("GET /v1/containers/[^/]+/files", lambda _request: refusal("Not now.", 403))
    hosted.will_say([wire.Code("x"), wire.Message("Done.")])
    ran = notebook.ask("A", "Ask.")
    assert ran.files == []
    assert "list of files could not be read" in ran.html
    hosted._overrides.clear()
    assert set(retry(notebook.session).files) == {"a.csv"}


def test_the_services_list_shows_ours_and_those_made_by_this_package_only(notebook, hosted):
    will_use(hosted, "cntr_a")
    notebook.ask("A", "Ask.")
    names = {"cntr_a": "auto", "cntr_old": "ipython_assistant", "cntr_other": "somebody's"}
    states = {"cntr_a": "running", "cntr_old": "expired", "cntr_other": "running"}
    rows = [{"id": container_id, "name": names[container_id], "status": states[container_id]} for container_id in names]
    hosted.on(r"^GET /v1/containers\?", lambda _request: listing(*rows))
    session = notebook.session
    seen = session.connect(session.settings).containers.overview()
    assert seen == [("cntr_a", "running", True), ("cntr_old", "expired", False)]


def test_connections_are_closed_where_python_starts_no_thread_any_more(notebook, hosted, monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")  # as Python 3.12.0 and 3.12.1 do

    will_use(hosted, "cntr_a")
    notebook.ask("A", "Ask.")
    (connection,) = notebook.session.connections
    closed = []
    monkeypatch.setattr(connection.wire, "close", lambda: closed.append(True))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    notebook.session.close()
    assert closed == [True]


class ListingWire:
    """Lists rows in pages of a hundred, newest first; without `pages` it sends the first page again and again."""

    identity = "test"

    def __init__(self, count, *, pages=True):
        self.rows = [{"id": f"cfile_{number}", "path": f"/mnt/data/{number}.csv"} for number in range(count, 0, -1)]
        self.pages = pages
        self.asked = 0

    def list_files(self, _container_id, after):
        self.asked += 1
        ids = [row["id"] for row in self.rows]
        start = ids.index(after) + 1 if after and self.pages else 0
        page = {"data": self.rows[start : start + 100], "has_more": not self.pages or start + 100 < len(ids)}
        return Reply(200, {}, iter([json.dumps(page).encode()]), lambda: None)

    def list_containers(self, after):
        return self.list_files("", after)


def test_of_a_container_with_ten_thousand_and_one_files_the_newest_are_listed():
    rows = containers.Containers(ListingWire(10_001)).file_rows("cntr_1")
    assert len(rows) == containers.MAX_ROWS
    assert (rows[0]["id"], rows[-1]["id"]) == ("cfile_2", "cfile_10001")


def test_a_listing_that_is_cut_is_said_and_the_newest_file_is_saved(notebook, hosted, monkeypatch):
    monkeypatch.setattr(collect_files, "MAX_ROWS", 2)
    for name in ("a.csv", "b.csv"):
        hosted.put(name, CSV, f"cfile_{name[0]}")
    hosted.will_say([wire.Code("x"), wire.Message("Done.")])
    ran = notebook.ask("A", "Ask.")
    assert (sorted(ran.files), "over 2 files" in ran.html) == (["a.csv", "b.csv"], True)


@pytest.mark.parametrize("listing", ["files", "containers"])
def test_a_proxy_that_drops_the_page_is_asked_twice(listing):
    wire_ = ListingWire(200, pages=False)
    known = containers.Containers(wire_)
    known.file_rows("cntr_1") if listing == "files" else known.overview()
    assert wire_.asked == 2


def test_a_listing_of_odd_rows_is_read_as_far_as_it_can_be(shell):
    class OddWire(ListingWire):
        def list_files(self, _container_id, _after):
            rows = [1, None, {}, {"id": 5, "path": ["x"]}, {"id": "cfile_1", "bytes": "12", "path": "/mnt/data/a.csv"}]
            return Reply(200, {}, iter([json.dumps({"data": rows, "has_more": "yes"}).encode()]), lambda: None)

    rows = containers.Containers(OddWire(0)).file_rows("cntr_1")
    assert [row["container_id"] for row in rows] == ["cntr_1"] * len(rows)
    assert any(row.get("path") == "/mnt/data/a.csv" for row in rows)


def test_what_is_known_of_containers_may_be_written_and_read_by_several_threads():
    known = containers.Containers(ListingWire(0))

    def work(number):
        for turn in range(300):
            known.mark_ran([f"cntr_{number}_{turn}"], None)
            known.mark_saved([f"cntr_{number}_{turn}"], [("cfile", 1, 1)])

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, number) for number in range(4)]:
            future.result()
