"""Files fetched over a bad way: what is asked, how often, how many at once, and what is said of those that fail."""

import _thread
import hashlib
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests_support import events as wire

from faults.scenarios import FORBIDDEN, before_the_answer, message, play
from faults.server import RANGES, SERVER_FAULT, Hang, Pattern, Reset, Short, Status, sha256_of, slow_down, table
from ipython_assistant import errors
from ipython_assistant.service.downloads import Downloads


def ask_for(asking, *files, **settings):
    """A turn that makes these files; nothing is fetched ahead unless the settings say so."""
    asking.set(**{"prefetch_bytes": 0, **settings})
    asking.stage().play(*files)
    return asking.run()


def saved(asking, file):
    return (asking.folder / file.name).read_bytes() == file.content


def test_files_are_asked_for_uncompressed_at_content_in_their_own_container_and_named_by_their_citation(asking):
    file = asking.stage().file("result.csv")
    ran = ask_for(asking, file)
    (asked,) = asking.service.of("content")
    assert asked.path == f"/v1/containers/cntr_auto1/files/{file.file_id}/content"
    assert asked.headers["accept-encoding"] == "identity"
    assert not asking.service.of("metadata")
    assert (ran.files, saved(asking, file)) == (["result.csv"], True)


@pytest.mark.parametrize(("answer", "fault"), [*((each, Reset(7000)) for each in RANGES), ("honoured", Short(7000))])
def test_a_file_that_broke_goes_on_where_it_broke_if_the_answer_can_be_trusted(asking, answer, fault):
    file = asking.stage().file()
    asking.service.ranges = answer
    asking.service.goes_wrong("content", fault, name=file.name)
    ran = ask_for(asking, file)
    asked = [each.headers.get("range") for each in asking.service.of("content")]
    assert asked == [None, "bytes=7000-", *([] if answer in RANGES[:3] else [None])]
    assert saved(asking, file)
    assert ran.answer.files[file.name].sha256 == hashlib.sha256(file.content).hexdigest()


def test_the_rest_of_a_file_is_asked_for_in_the_version_that_was_begun(asking):
    file = asking.stage().file()
    asking.service.versions = 2
    asking.service.goes_wrong("content", Reset(7000), name=file.name)
    ask_for(asking, file)
    assert [asked.headers.get("if-range") for asked in asking.service.of("content")] == [None, '"0"', None]
    assert saved(asking, file)


def test_a_body_of_another_length_than_the_container_lists_is_named_but_none_at_all_is_believed(asking):
    stage = asking.stage()
    file, other = stage.file(bytes=12), stage.file("other.csv", bytes=0)
    ran = ask_for(asking, file, other)
    assert isinstance(ran.error, errors.FilesMissing)
    assert "the container lists 12" in ran.answer.failed[0].reason
    assert (saved(asking, other), (asking.folder / file.name).exists()) == (True, False)


@pytest.mark.parametrize(("settings", "most"), [({"downloads": 1}, 1), ({"downloads": 4}, 4), ({}, 32)])
def test_never_more_at_once_than_the_setting_says(asking, settings, most):
    asking.service.gathers, asking.service.latency_s = most, 0.02
    stage = asking.stage()
    ask_for(asking, *(stage.file(f"{number}.csv", b"a\n") for number in range(most + 8)), **settings)
    assert asking.service.most_at_once == most
    assert len(list(asking.folder.glob("*.csv"))) == most + 8


def test_everybody_waits_as_long_as_the_service_asked(asking):
    stage = asking.stage()
    asking.service.goes_wrong("content", slow_down("0.4"))
    ask_for(asking, *(stage.file(f"{number}.csv") for number in range(12)), downloads=4)
    requests = asking.service.of("content")
    told = next(asked for asked in requests if asked.status == 429)
    # Those already under way could not know.
    later = [asked.at_s - told.at_s for asked in requests if asked.at_s - told.at_s > 0.1]
    assert len(list(asking.folder.glob("*.csv"))) == 12
    assert min(later) >= 0.35


def test_a_limit_of_requests_a_minute_is_kept_to_after_the_first_refusals(asking):
    (ran,) = asking.scenario("limit_100_per_minute")
    refused = [asked for asked in asking.service.of("content") if asked.status == 429]
    assert (ran.error, len(ran.files)) == (None, 120)
    # Those that were on their way when the first was refused, and as many at each second try.
    assert len(refused) <= 70


def test_what_takes_too_long_is_named_with_how_far_it_got_and_the_rest_is_saved(asking):
    stage = asking.stage()
    late, beside = stage.file("late.csv"), stage.beside()
    asking.service.goes_wrong("content", Hang(4000), times=None, name="late.csv")
    ran = ask_for(asking, late, beside, files_timeout=0.4)
    assert isinstance(ran.error, errors.FilesMissing)
    assert "late.csv" in str(ran.error)
    assert (saved(asking, beside), ran.missing) == (True, ["late.csv"])
    assert all(words in ran.answer.failed[0].reason for words in ("0.4 s", "4,000 of"))


def test_a_missing_file_is_named_in_the_error_the_card_and_its_link(asking):
    stage = asking.stage()
    asking.service.goes_wrong("content", Status(404, "File not found on container."), times=None, name="gone.csv")
    ran = ask_for(asking, stage.file("gone.csv"), stage.beside())
    assert isinstance(ran.error, errors.FilesMissing)
    assert "1 file of the answer could not be saved." in str(ran.error)
    assert all(word in said for said in (str(ran.error), ran.html, ran.plain) for word in ("gone.csv", "404"))
    assert "sandbox:" not in ran.answer.text
    assert "[beside.csv](assistant_files/beside.csv)" in ran.answer.text
    assert "gone.csv (it could not be saved)" in ran.answer.text


def test_a_missing_file_is_only_said_where_the_setting_says_so(asking):
    asking.service.goes_wrong("content", Status(404, "Not found."), times=None, name="gone.csv")
    ran = ask_for(asking, asking.stage().file("gone.csv"), on_missing_file="warn")
    assert (ran.error, ran.missing) == (None, ["gone.csv"])
    assert "gone.csv" in ran.html


@pytest.mark.parametrize(("fault", "least", "most"), [
    (FORBIDDEN, 1, 1), (Status(404, "Not found."), 1, 1), (SERVER_FAULT, 2, 10), (slow_down("60"), 1, 1),
], ids=["forbidden", "not found", "a server's fault", "a wait beyond the limit for files"])  # fmt: skip
def test_what_will_not_change_is_asked_for_once_and_what_may_is_tried_again_a_few_times(asking, fault, least, most):
    asking.service.goes_wrong("content", fault, times=None)
    ran = ask_for(asking, asking.stage().file(), files_timeout=30)
    assert least <= len(asking.service.of("content")) <= most
    assert isinstance(ran.error, errors.FilesMissing)
    assert str(fault.status) in ran.answer.failed[0].reason


def test_waits_that_the_service_asked_for_are_no_fruitless_tries(asking):
    file = asking.stage().file()
    asking.service.goes_wrong("content", slow_down(), times=3)
    asking.service.goes_wrong("content", SERVER_FAULT, times=2)
    assert ask_for(asking, file).error is None
    assert saved(asking, file)


def test_two_turns_in_one_container_do_not_bring_the_first_ones_files_twice(asking):
    asking.turns("first.csv", "second.csv", kind="uncited")
    assert [asking.run(body).files for body in ("One.", "Two.")] == [["first.csv"], ["second.csv"]]
    assert len(asking.service.of("content")) == 2


# Ahead. ---------------------------------------------------------------------------------------------------------------
def play_slowly(asking, *files, until, most_s=2.0, then=lambda: None):
    """A turn whose answer does not begin before the client has done something; returns whether it did."""
    did, slow, service = [], play(files), asking.service
    wait = lambda *_: did.append(service.wait_until(lambda: bool(until(service)), most_s))  # noqa: E731
    before_the_answer(slow, wait, lambda *_: then())
    service.plays.append(slow)
    return did


def test_files_are_fetched_while_the_answer_is_being_written_and_not_again(asking):
    stage = asking.stage()
    files = [stage.file(f"{number}.csv") for number in range(5)]
    did = play_slowly(asking, *files, until=lambda service: len(service.of("content")) == 5)
    ran = asking.run()
    assert (did, len(asking.service.of("content")), len(ran.files)) == ([True], 5, 5)
    assert all(saved(asking, file) for file in files)


@pytest.mark.parametrize(("prefetch_bytes", "until"), [
    (0, lambda it: it.of("content") or it.of("list")), (50_000, lambda it: len(it.of("content")) > 2),
], ids=["off", "half of them"])  # fmt: skip
def test_no_more_bytes_are_fetched_ahead_than_the_setting_says_and_none_where_it_is_off(asking, prefetch_bytes, until):
    stage = asking.stage()
    files = [stage.file(f"{number}.csv", b"x" * 20_000) for number in range(4)]
    asking.set(prefetch_bytes=prefetch_bytes)
    did = play_slowly(asking, *files, until=until, most_s=0.3)
    asking.run()
    assert (did, len(asking.service.of("content"))) == ([False], 4)
    assert all(saved(asking, file) for file in files)


def test_fetching_ahead_stops_when_the_service_asks_to_slow_down(asking):
    stage = asking.stage()
    files, ahead = [stage.file(f"{number}.csv") for number in range(6)], []
    asking.set(downloads=1)
    asking.service.goes_wrong("content", slow_down("0.05"))
    got = lambda *_: asking.service.of("content")  # noqa: E731
    did = play_slowly(asking, *files, until=lambda _: len(got()) > 6, most_s=0.3, then=lambda: ahead.extend(got()))
    ran = asking.run()
    told = next(asked for asked in ahead if asked.status == 429)
    assert (did, ran.error) == ([False], None)
    assert all(saved(asking, file) for file in files)
    # Its second try belongs to the answer, not to the fetching ahead.
    assert [asked.name for asked in ahead].count(told.name) == 1
    assert len(asking.service.of("content", told.name)) == 2


@pytest.mark.parametrize(("rewritten", "times"), [(False, 1), (True, 2)])
def test_a_copy_fetched_ahead_counts_unless_the_file_changed(asking, rewritten, times):
    stage = asking.stage()
    file, content = stage.file(), b"a,b\n1,2\n"

    def change(service, container_id):
        service.wait_until(lambda: service.of("content"), 2.0)
        if rewritten:
            service.change(container_id, file.file_id, content)

    stage.play(file, items=[wire.Code("one()"), wire.Code("two()"), message((file,))], acts={1: [change]})
    asking.run()
    assert (asking.folder / file.name).read_bytes() == (content if rewritten else file.content)
    assert len(asking.service.of("content")) == times


def change_what_was_fetched(asking, file, content, then=lambda _service: None):
    """Play a turn in which a file changes without code, after it was fetched ahead: only the closing listing tells."""

    def change(service):
        if not service.of("content", file.name) or service.busy:
            return False
        service.change([*service.containers][-1], file.file_id, content)
        then(service)
        return True

    play_slowly(asking, file, until=change)


def test_a_copy_that_the_closing_listing_contradicts_is_fetched_again(asking):
    file, content = asking.stage().file(), b"a,b\n1,2\n"
    change_what_was_fetched(asking, file, content)
    ran = asking.run()
    assert (ran.error, ran.files) == (None, ["file.csv"])
    assert [path.read_bytes() for path in asking.folder.glob("*.csv")] == [content]


def test_the_earlier_version_of_a_file_stays_when_its_new_version_cannot_be_fetched_after_all(asking):
    stage = asking.stage()
    earlier = stage.file("file.csv", table("earlier"))
    stage.play(earlier)
    asking.run(cell_id="cell-1")
    now = stage.file("file.csv", table("now"))
    gone = Status(404, "File not found.")
    change_what_was_fetched(asking, now, table("changed"), lambda service: service.goes_wrong("content", gone, None))
    ran = asking.run(cell_id="cell-1")
    assert isinstance(ran.error, errors.FilesMissing)
    assert (asking.folder / "file.csv").read_bytes() == earlier.content


@pytest.fixture
def at_the_closing_listing(asking, monkeypatch):
    """Make a turn whose file is whole here before the answer begins; `then` runs when the container is listed last."""

    def play_turn(file, then, calls=1):
        done, is_ready, listing = queue.SimpleQueue(), threading.Event(), asking.service._list

        def listed(door, asked):
            if is_ready.is_set():
                then(asked.container_id)
            return listing(door, asked)

        def wait_for_the_file(*_):
            for _step in ("it was looked for", "it is here"):
                done.get(timeout=5)

        def wait_for_the_last_look(*_):
            done.get(timeout=5) if calls > 1 else wait_for_the_file()
            is_ready.set()

        for name in ("_attempt", "_fetch_ahead"):
            original = getattr(Downloads, name)
            monkeypatch.setattr(Downloads, name, lambda *args, original=original: done.put(original(*args)))
        monkeypatch.setattr(asking.service, "_list", listed)
        items = [*(wire.Code("make()") for _ in range(calls)), message((file,))]
        slow = play([file], items=items, acts={1: [wait_for_the_file]})
        before_the_answer(slow, wait_for_the_last_look)
        asking.service.plays.append(slow)

    return play_turn


@pytest.mark.parametrize("calls", [1, 2])
def test_a_file_that_was_fetched_ahead_has_its_name_before_the_closing_listing(asking, at_the_closing_listing, calls):
    """Code that ran since and left the file as it was does not make it wait."""
    file, there = asking.stage().file(), []
    at_the_closing_listing(file, lambda _: there.append(saved(asking, file)), calls)
    assert (asking.run().files, there) == (["file.csv"], [True])
    assert len(asking.service.of("content")) == 1


@pytest.mark.parametrize("can_be_fetched", [True, False])
def test_a_stale_copy_is_taken_back_from_its_name(asking, at_the_closing_listing, can_be_fetched):
    file, content, there = asking.stage().file(), b"a,b\n1,2\n", []

    def change(container_id):
        there.append(saved(asking, file))
        asking.service.change(container_id, file.file_id, content)
        if not can_be_fetched:
            asking.service.goes_wrong("content", Status(404, "File not found."), None)

    at_the_closing_listing(file, change)
    ran = asking.run()
    assert (there, ran.files, ran.missing) == ([True], *((["file.csv"], []) if can_be_fetched else ([], ["file.csv"])))
    assert [path.read_bytes() for path in asking.folder.glob("*.csv")] == [content] * can_be_fetched


def test_a_stale_copy_that_the_user_changed_in_the_meantime_stays(asking, at_the_closing_listing):
    file, content = asking.stage().file(), b"a,b\n1,2\n"

    def change(container_id):
        (asking.folder / "file.csv").write_text("mine")
        asking.service.change(container_id, file.file_id, content)

    at_the_closing_listing(file, change)
    assert asking.run().files == ["file-2.csv"]
    assert [(asking.folder / name).read_bytes() for name in ("file.csv", "file-2.csv")] == [b"mine", content]


def test_files_keep_the_order_of_the_answer_though_one_is_cited_twice(asking):
    stage = asking.stage()
    first, second = stage.file("first.csv", b"a\n1\n"), stage.file("second.csv", b"b\n2\n")
    stage.play(first, second, items=[wire.Code("make()"), message((first, second)), message((first,))])
    assert asking.run().files == ["first.csv", "second.csv"]


def test_a_cited_file_that_an_early_listing_finds_late_is_fetched_once(asking):
    """The listing that is begun when the code ends may come after the answer."""
    asking.service.latency_s = 0.2
    asking.turns("0.csv")
    assert asking.run().error is None
    assert len(asking.service.of("content")) == 1


def test_a_listing_that_never_comes_is_given_up_with_the_files(asking):
    asking.service.goes_wrong("list", Hang(0), times=None)
    began = time.monotonic()
    ran = ask_for(asking, asking.stage().file(), files_timeout=0.5)
    assert time.monotonic() - began < 5
    assert (ran.error, ran.files) == (None, ["file.csv"])
    assert all(words in ran.html for words in ("list of files could not be read", "did not come in time"))


def test_a_file_that_code_removed_again_is_neither_saved_nor_missed(asking):
    stage = asking.stage("uncited")
    scratch, kept = stage.file("scratch.csv"), stage.file("kept.csv")

    def remove(service, container_id):
        service.wait_until(lambda: service.of("content", "scratch.csv"), 2.0)
        del service.containers[container_id].files[scratch.file_id]

    stage.play(scratch, kept, items=[wire.Code("one()"), wire.Code("two()"), message(())], acts={1: [remove]})
    ran = asking.run()
    assert (ran.error, ran.files) == (None, ["kept.csv"])
    assert [path.name for path in asking.folder.glob("*.csv")] == ["kept.csv"]


# Ctrl-C. --------------------------------------------------------------------------------------------------------------
def reading(before):
    """The threads that were not there before and are still at a file."""
    names = ("ipython_assistant fetch", "ipython_assistant hash")
    return [thread for thread in set(threading.enumerate()) - before if thread.name.startswith(names)]


@pytest.mark.parametrize(("content", "comes"), [(None, 4000), (Pattern(36_000_000), 33_000_000)])
def test_ctrl_c_while_files_come_keeps_what_is_here_and_retry_fetches_the_rest(asking, content, comes):
    stage, before = asking.stage(), set(threading.enumerate())
    late, beside = stage.file("late.csv", content), stage.beside()
    asking.set(prefetch_bytes=0)
    asking.service.goes_wrong("content", Hang(comes), times=1, name="late.csv")
    stage.play(late, beside)

    def interrupt():
        both = lambda: all(asking.service.of("content", file.name) for file in (late, beside))  # noqa: E731
        assert asking.service.wait_until(both, 5.0)
        # Enough for the small file beside it to be read.
        threading.Event().wait(0.3)
        _thread.interrupt_main()

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    ran = asking.run()
    watcher.join()
    assert isinstance(ran.error, errors.Interrupted)
    assert saved(asking, beside)
    assert ran.missing == ["late.csv"]
    for thread in reading(before):
        thread.join(5)
    assert not reading(before)
    assert asking.tried(None, "%assistant retry").error is None
    assert sha256_of((asking.folder / "late.csv").read_bytes()) == sha256_of(late.content)
    assert len(asking.service.of("content", "beside.csv")) == 1


# Size. ----------------------------------------------------------------------------------------------------------------
CHILD = """
import resource, sys
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "ipython_assistant")
for _ in range(2):
    with capture_output():
        outcome = shell.run_cell("%%assistant\\nMake it.", store_history=True)
    assert outcome.error_in_exec is None, outcome.error_in_exec
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
shell.run_line_magic("unload_ext", "ipython_assistant")
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_a_file_of_a_gigabyte(asking):
    size = 1_000_000_000
    stage = asking.stage()
    stage.play(stage.file("small.csv"))
    stage.play(stage.file("big.bin", Pattern(size)))
    ran = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    small, big = map(int, ran.stdout.split())
    path = Path("assistant_files/big.bin")
    assert path.stat().st_size == size
    with path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == Pattern(size).sha256()
    assert big - small < 16
