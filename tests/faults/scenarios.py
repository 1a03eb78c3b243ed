"""The faults by name: each sets a stage (a service, what it plays, what goes wrong) and says what is owed for it.
Owed is one of: `saved`, with the right bytes; `named`, with a reason, in a cell that ends in an error; or `said`: only
the listing would show the file, the service refuses the listing, and the card says that it could not be read."""

from __future__ import annotations

import base64
import contextlib
import errno
import itertools
import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal
from unittest import mock

from tests_support import events as wire

from faults import server
from faults.server import SERVER_FAULT, FaultyService, Pattern, Reset, Status, Unannounced, png, slow_down, table

Kind = Literal["cited", "uncited", "figure"]
Owed = Literal["saved", "named", "said"]
FORBIDDEN = Status(403, "You have insufficient permissions.")
KINDS: tuple[Kind, ...] = ("cited", "uncited", "figure")

NASTY_NAMES = (
    "../../escape.csv", "..", "/etc/passwd.csv", "C:\\Users\\x\\drive.csv", "c:stream.csv", "~root.csv", "-rf",
    "CON", "nul.csv", "LPT1.tar.gz", "desktop.ini", "trailing. . ", "   ", "with blank.csv", "per%20cent.csv",
    "a\tb\x01c.csv", "line\nbreak.csv", "del\x7f.csv", "abc\u202efdp.csv", "emoji 🎉.csv",
    "w" * 296 + ".csv", "ж" * 148 + ".csv", "Cafe\u0301.csv", "Caf\u00e9.csv", "Clash.csv", "clash.csv",
    '"><img src=x onerror=alert(1)>.csv', "[a](javascript:alert(1)).csv", "`tick`.csv",
    ".hidden.csv", ".turns", ".staging-x",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A cell to run: its line and body, in which cell of the notebook, and what happens just before."""

    body: str = "Make the files."
    line: str = ""
    cell_id: str | None = None
    before: Callable[[], None] = lambda: None


@dataclass
class Stage:
    """What a scenario sets."""

    service: FaultyService
    kind: Kind
    notebook_dir: Path
    cells: list[Cell] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    around: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def outputs(self):
        """Those of a code call, which are missing where it shows a figure."""
        return None if self.kind == "figure" else ()

    def file(self, name="file.csv", content=None, **row):
        """A file of this stage's kind. A figure has no name of its own."""
        number = next(self._numbers)
        if self.kind == "figure":
            file_id = f"cfile_{0xF16 + number:032x}"
            return File(f"{file_id}.png", png(number) if content is None else content, "figure", file_id, row)
        file_id = f"cfile_{0xC5F + number:032x}"
        return File(name, table(number) if content is None else content, self.kind, file_id, row)

    def beside(self):
        """A cited file that nothing is wrong with."""
        return File("beside.csv", table("beside", 20), "cited", f"cfile_{0xBE51DE:032x}")

    def play(self, *files, **more):
        """A turn in which one code call makes these files and the message after it cites those that are cited."""
        self.service.plays.append(play(files, response_id=f"resp_{next(self._numbers)}", **more))
        if len(self.cells) < len(self.service.plays):
            self.cells.append(Cell(f"Make the files, number {len(self.cells) + 1}."))

    def content_goes_wrong(self, file, fault, times=1):
        """What fetching a file meets. Nothing is fetched ahead: that would be a second try of its own."""
        self.settings["prefetch_bytes"] = 0
        self.service.goes_wrong("content", fault, times, file.name)

    def input_file(self, name="cases.csv"):
        """An input in the notebook's directory; returns its path as a cell writes it."""
        path = self.notebook_dir / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(table(name, 30))
        return f"data/{name}"


@dataclass(frozen=True)
class File:
    """A file that code makes."""

    name: str
    content: server.Content
    kind: Kind
    file_id: str
    row: dict[str, Any] = field(default_factory=dict)

    def write(self, service, container_id):
        service.write(container_id, self.name, self.content, self.file_id, **self.row)


def message(files):
    """A message that links and cites the cited files, and cites the figures without a name or a span."""
    cited = [file for file in files if file.kind == "cited"]
    text = " ".join(["Done.", *(f"[{file.name}](sandbox:/mnt/data/{file.name})" for file in cited), "That is all."])
    figures = [wire.cite_figure(file.file_id) for file in files if file.kind == "figure"]
    return wire.Message(text, (*figures, *(wire.cite(text, file.name, file.file_id) for file in cited)))


def play(files, *, items=None, acts=None, response_id="resp_1", cut="", before="", ending="completed", whole=None):
    """A response as it is streamed, whose first code call makes `files`.

    Without `items` it is one code call and one message. `acts` says, by a code call's number, what else happens in the
    service as it ends. The last event is `response.{ending}`, its response with the fields of `whole`; or, where `cut`
    says how the connection ends, the one in front of the first of type `before`.
    """
    if items is None:
        outputs = None if any(file.kind == "figure" for file in files) else (wire.logs("ok\n"),)
        items = [wire.Code("make()", outputs), message(files)]
    steps, call, acts = [], 0, acts or {}
    for event in wire.stream(items, response_id, ending, **(whole or {})):
        if cut and event["type"] == before:
            break
        steps.append(event)
        if event["type"] == "response.code_interpreter_call.interpreting":
            steps += [] if call else [file.write for file in files]
            steps += acts.get(call, [])
            call += 1
    return server.Play(steps, cut)


@dataclass(frozen=True)
class Scenario:
    """A fault by its name: what sets its stage, and for which kinds of file it makes sense."""

    name: str
    prepare: Callable[[Stage], None]
    kinds: tuple[Kind, ...]
    owed: dict[Kind, Owed]
    """What is owed for the files of a kind; `saved` where it says nothing."""
    ends_well: bool
    """Whether the last cell may end without an error."""

    def owed_for(self, kind, name):
        """What is owed for one file; nothing is wrong with the one that stands beside."""
        return "saved" if name == "beside.csv" else self.owed.get(kind, "saved")


SCENARIOS: dict[str, Scenario] = {}


def scenario(prepare=None, name="", *, kinds=KINDS, owed="saved", ends_well=None):
    """Register what sets a stage, under a name or its own; without it this is for a decorator."""
    if prepare is None:
        return partial(scenario, name=name, kinds=kinds, owed=owed, ends_well=ends_well)
    by_kind = dict.fromkeys(KINDS, owed) if isinstance(owed, str) else owed
    well = ends_well if ends_well is not None else "named" not in by_kind.values()
    name = name or prepare.__name__
    SCENARIOS[name] = Scenario(name, prepare, kinds, by_kind, well)
    return prepare


def _one(name, fault=None, times=1, *, kind="content", settings=None, row=None, owed="saved", **service):
    def prepare(stage):
        """One file, or the requests of one kind, meets a fault, or the service has its own way. One stands beside."""
        vars(stage.service).update(service)
        stage.settings |= settings or {}
        file = stage.file(**(row or {}))
        if fault is not None and kind == "content":
            stage.content_goes_wrong(file, fault, times)
        elif fault is not None:
            stage.service.goes_wrong(kind, fault, times)
        stage.play(file, stage.beside())

    scenario(prepare, name, owed=owed)


_one("nothing_is_wrong")
_one("a_big_body", row={"content": Pattern(64_000_000)})
_one("an_empty_file", row={"content": b""})
_one("slow_down_on_list", slow_down(), times=2, kind="list")
_one("slow_down_on_respond", slow_down(), times=2, kind="respond")
_one("slow_down_with_no_time_given", Status(429, "Rate limit reached."))
_one("slow_down_on_content", slow_down(), times=3)
_one("server_fault_twice", SERVER_FAULT, times=2)
_one("server_fault_for_ever", SERVER_FAULT, times=None, owed="named")
_one("list_fault_once", Status(500, "The server had an error.", (("Retry-After", "0.02"),)), kind="list")
_one("list_refused_for_ever", FORBIDDEN, times=None, kind="list", owed={"uncited": "said"})
_one("reset_before_any_byte", Reset(0))
_one("reset_on_the_way", Reset(7000))
_one("reset_again_and_again_but_further_each_time", Reset(2500), times=5)
_one("reset_for_ever", Reset(3000), times=None, ranges="ignored", owed="named")
_one("reset_and_another_version_from_a_cache", Reset(7000), versions=2)
_one("compressed_on_the_way_and_cut", Reset(5000), row={"content": table("text", 4000)}, compresses="asked")
_one("compressed_unasked_and_cut", Reset(5000), row={"content": table("text", 4000)}, compresses="unasked")
_one("body_cut_short", server.Short(9000))
_one("body_cut_short_for_ever", server.Short(9000), times=None, ranges="ignored", owed="named")
_one("cut_with_no_length_announced", Unannounced(9000))  # Only the listing knows how long it should have been
_one("whole_with_no_length_announced", Unannounced())
_one("nothing_where_the_listing_has_a_size", server.Page(b""))
_one("a_web_page_for_ever_where_a_file_should_be", server.Page(), times=None, owed="named")
_one("nothing_comes_any_more", server.Hang(4000), settings={"timeout": 1.0})
_one("nothing_comes_ever", server.Hang(4000), times=None, settings={"files_timeout": 0.5}, owed="named")
_one("not_found", Status(404, "File not found."), times=None, owed="named")
_one("paging_ignored", pages=False)  # A proxy on the way drops `after`: every page is the first, and more are promised
_one("listing_is_a_page", server.Page(), times=None, kind="list", owed={"uncited": "said"})
_one("no_size_in_the_listing", row={"bytes": None})
_one("listing_empty_until_completed", listing="empty until completed")
_one("listing_refused_while_running", listing="refused while running")


def _many(name, seeds, kinds=KINDS, **service):
    def prepare(stage):
        """Many small tables: their names, and what they are made from."""
        vars(stage.service).update(service)
        stage.play(*(stage.file(file, table(seed, 5)) for file, seed in seeds.items()))

    scenario(prepare, name, kinds=kinds)


NUMBERED = {f"file-{number:03}.csv": number for number in range(120)}
_many("limit_100_per_minute", NUMBERED, limit=(100, 0.6))  # The documented limit on a scaled clock
_many("forty_five_files", dict(list(NUMBERED.items())[:45]), page_most=20)  # Over three pages
_many("nasty_names", dict(zip(NASTY_NAMES, NASTY_NAMES, strict=True)), kinds=("cited", "uncited"))
_many("latency", dict(list(NUMBERED.items())[:8]), latency_s=0.05)
_many("same_bytes_under_two_names", {"one.csv": "same", "two.csv": "same"}, kinds=("cited", "uncited"))


@scenario(owed="named")
def a_part_for_ever_though_all_was_asked_for(stage):
    stage.service.ranges = "a part unasked"
    stage.settings["prefetch_bytes"] = 0
    stage.play(stage.file())


# Streams that end badly. ----------------------------------------------------------------------------------------------
def _ends(name, cut="", before="", **how):
    how |= {"cut": cut, "before": before}
    scenario(lambda stage: stage.play(stage.file(), stage.beside(), **how), name, ends_well=False)


_ends("stream_ends_before_completed", "clean", "response.completed")
_ends("stream_ends_before_the_citations", "clean", "response.output_text.annotation.added")
_ends("stream_ends_before_the_message", "clean", "response.content_part.added")
_ends("stream_ends_as_the_code_runs", "clean", "response.code_interpreter_call.completed")
_ends("stream_cut_inside_a_chunk", "inside a chunk", "response.output_text.done")
_ends("stream_reset", "reset", "response.output_text.done")

_PROBLEM = {"code": "server_error", "message": "The model produced too much smoke."}


@scenario(ends_well=False)
def error_event(stage):
    files = (stage.file(), stage.beside())
    stage.play(*files, cut="clean", before="response.output_text.annotation.added")
    steps = stage.service.plays[-1].steps
    number = sum(not callable(step) for step in steps)
    failed = wire.response([], "resp_e", "failed", error=_PROBLEM)
    steps.append({"type": "error", "sequence_number": number, "error": {**_PROBLEM, "type": "server_error"}})
    steps.append({"type": "response.failed", "sequence_number": number + 1, "response": failed})


_ends("response_failed", ending="failed", whole={"error": _PROBLEM, "output": []})
_ends("response_incomplete", ending="incomplete", whole={"incomplete_details": {"reason": "max_output_tokens"}})


# Containers that expire. ----------------------------------------------------------------------------------------------
def _expired_at_the(name, *inputs):
    """Between two cells; with inputs the upload is what meets it."""

    def prepare(stage):
        stage.play(stage.file("first.csv"))
        stage.play(stage.file("second.csv"), stage.beside())
        one, two = [f"-i {stage.input_file(each)}" for each in inputs] or ("", "")
        stage.cells[:] = Cell("One.", one), Cell("Two.", two, before=stage.service.expire)

    scenario(prepare, name)


_expired_at_the("expired_at_the_next_question")
_expired_at_the("expired_at_the_upload", "one.csv", "two.csv")


@scenario(owed={"cited": "named", "uncited": "said", "figure": "named"}, ends_well=True)
def expired_between_answer_and_download(stage):
    """So soon that nothing could be fetched ahead."""
    stage.play(stage.file(), stage.file("other.csv"), acts={0: [FaultyService.expire]})


@scenario()
def expired_after_everything_was_fetched_ahead(stage):
    """The listing cannot be had any more, nor the content; but no code ran since."""
    file, service = stage.file(), stage.service
    stage.play(file)
    fetched = lambda: bool(service.of("content", file.name)) and not service.busy  # noqa: E731
    before_the_answer(service.plays[-1], lambda *_: service.wait_until(fetched, 1.0), FaultyService.expire)


# Listings. ------------------------------------------------------------------------------------------------------------
@scenario()
def phantom_rows(stage):
    two = "/mnt/data/a.csv /mnt/data/b.csv"
    rows = [(two, None), (two, 12), ("/mnt/data/null.csv", None), ("", None), (None, None)]
    acts = [partial(FaultyService.list_also, path=path, bytes=size) for path, size in rows]
    stage.play(stage.file(), stage.beside(), acts={0: acts})


@scenario()
def no_owner_in_the_listing(stage):
    stage.play(stage.file(source=None), stage.beside())
    stage.cells[0] = Cell("Look.", f"-i {stage.input_file()}")


@scenario(kinds=("cited", "uncited"))
def listing_and_citation_ids_differ(stage):
    def list_under_another_id(service, container_id):
        files = service.containers[container_id].files
        twin = replace(files[file.file_id], id=service.new_id())
        files[file.file_id].listed, files[twin.id] = False, twin

    file = stage.file()
    stage.play(file, stage.beside(), acts={0: [list_under_another_id]})


@scenario(kinds=("cited", "figure"))
def cited_but_not_listed(stage):
    file = stage.file()
    stage.play(replace(file, row={"listed": False}), stage.beside())


# What code does to its files. -----------------------------------------------------------------------------------------
def _rewritten(stage, *, new_id, then=lambda *_: None):
    file = stage.file()
    second = png("second") if stage.kind == "figure" else file.content[: len(file.content) // 2] + b"second,0,0\n"
    now = replace(file, content=second, file_id=f"{file.file_id[:-1]}e" if new_id else file.file_id)

    def rewrite(service, container_id):
        service.wait_until(lambda: bool(service.of("content")), 0.5)
        if new_id:
            now.write(service, container_id)
        else:
            service.change(container_id, file.file_id, now.content)

    items = [wire.Code("one()", stage.outputs), wire.Code("two()", stage.outputs), message((now,))]
    # What the first call wrote is fetched ahead while the second runs.
    stage.play(file, items=items, acts={1: [rewrite, then]})


scenario(partial(_rewritten, new_id=False), "rewritten_after_prefetch")
scenario(partial(_rewritten, new_id=True), "rewritten_after_prefetch_under_a_new_id", kinds=("cited", "uncited"))


@scenario()
def rewritten_after_prefetch_and_not_listed_again(stage):
    """The listing works once, then never more: nobody can say that the copy is still right."""
    _rewritten(stage, new_id=False, then=lambda *_: stage.service.goes_wrong("list", FORBIDDEN, times=None))


@scenario()
def rewritten_in_a_later_turn_under_the_same_id(stage):
    """In the same container, and nothing but its size and time of creation tells."""
    first = stage.file()
    second = replace(first, content=png("later") if stage.kind == "figure" else table("later", 900))
    stage.play(first)
    acts = [lambda service, container_id: service.change(container_id, first.file_id, second.content)]
    stage.play(items=[wire.Code("again()", stage.outputs), message((second,))], acts={0: acts})


@scenario(kinds=("cited", "uncited"))
def same_name_in_two_turns(stage):
    for turn in ("first", "second"):
        stage.play(stage.file("file.csv", table(turn)))


@scenario(kinds=("cited", "uncited"))
def same_name_in_two_subfolders(stage):
    one, two = stage.file("a/x.csv", table("a")), stage.file("b/x.csv", table("b"))
    text = "Two: [x](sandbox:/mnt/data/a/x.csv) and [x](sandbox:/mnt/data/b/x.csv)."
    cited = [{**wire.cite(text, file.name, file.file_id), "filename": "x.csv"} for file in (one, two)]
    citations = tuple(cited) if stage.kind == "cited" else ()
    stage.play(one, two, items=[wire.Code("make()"), wire.Message(text if citations else "Done.", citations)])


def _changed_upload(name, changed):
    def change(service, container_id):
        (upload,) = service.containers[container_id].files.values()
        service.change(container_id, upload.id, changed(upload.content))

    def prepare(stage):
        stage.play(acts={0: [change]})
        stage.cells[0] = Cell("Add a row.", f"-i {stage.input_file()}")

    scenario(prepare, name, kinds=("uncited",))


_changed_upload("an_upload_that_was_changed", lambda content: content + b"30,0.5,new\n")
_changed_upload("an_upload_that_was_changed_and_kept_its_size", bytes.swapcase)


# Where citations and figures are found. -------------------------------------------------------------------------------
@scenario(kinds=("cited", "figure"))
def cited_in_a_middle_message(stage):
    file = stage.file()
    one, two = (wire.Code(code, stage.outputs) for code in ("one()", "two()"))
    stage.play(file, items=[one, message((file,)), two, wire.Message("Done.")])


@scenario(kinds=("cited", "figure"))
def cited_without_a_code_call(stage):
    """The files are in the container of a call that this response does not show."""
    file = stage.file()
    stage.play(items=[message((file,))])
    stage.service.plays[-1].steps.insert(1, file.write)


def _cited_without(name, field_name, *kinds):
    def prepare(stage):
        file = stage.file()
        whole = message((file,))
        citations = tuple({**citation, field_name: ""} for citation in whole.citations)
        stage.play(file, items=[wire.Code("make()", stage.outputs), wire.Message(whole.text, citations)])

    scenario(prepare, name, kinds=kinds)


_cited_without("cited_without_a_container", "container_id", "cited", "figure")  # A framework on the way drops it
_cited_without("cited_without_a_name", "filename", "cited")


@scenario(kinds=("cited", "uncited"))
def two_containers_in_one_turn(stage):
    one, two, other = stage.file("file.csv", table("here")), stage.file("file.csv", table("there")), "cntr_other"

    def write_there(service, _container_id):
        service.containers[other] = server.Container()
        two.write(service, other)

    text = "Two: [one](sandbox:/mnt/data/file.csv)."
    citations = (wire.cite(text, "file.csv", one.file_id), wire.cite(text, "file.csv", two.file_id, other))
    said = wire.Message(text, citations) if stage.kind == "cited" else wire.Message("Done.")
    stage.play(one, items=[wire.Code("a()"), wire.Code("b()", container_id=other), said], acts={1: [write_there]})


@scenario(kinds=("cited",))
def cited_twice(stage):
    file = stage.file()
    stage.play(file, items=[wire.Code("one()"), message((file,)), message((file,))])


@scenario(kinds=("figure",))
def figures_of_the_last_call_only_are_cited(stage):
    """Three calls show one each; the two before the last exist only in the outputs."""
    pictures = [png(number) for number in range(3)]
    cited = File(f"{'cfile_' + 'f' * 32}.png", pictures[2], "figure", f"cfile_{'f' * 32}")
    calls = [wire.Code(f"show({number})", (wire.image(data_uri(content)),)) for number, content in enumerate(pictures)]
    stage.play(items=[*calls, message((cited,))], acts={2: [cited.write, *map(_showing, pictures)]})


@scenario(kinds=("figure",))
def a_figure_whose_outputs_are_missing(stage):
    """The first call's figure came in its outputs, the second's did not; the second's alone is cited and listed."""
    first, second = png("first"), stage.file(content=png("second"))
    calls = [wire.Code("one()", (wire.image(data_uri(first)),)), wire.Code("two()", None)]
    stage.play(items=[*calls, message((second,))], acts={0: [_showing(first)], 1: [second.write]})


@scenario(kinds=("figure",))
def figures_only_in_the_outputs(stage):
    pictures = [png(number) for number in range(2)]
    outputs = (wire.logs("a"), wire.image(data_uri(pictures[0])), wire.logs("b"), wire.image(data_uri(pictures[1])))
    stage.play(items=[wire.Code("show()", outputs), wire.Message("See.")], acts={0: [*map(_showing, pictures)]})


def before_the_answer(play, *acts):
    """Let something happen in a play before its first message has a text."""
    is_begun = [not callable(step) and step["type"] == "response.content_part.added" for step in play.steps]
    play.steps[(begun := is_begun.index(True)) : begun] = acts


def _showing(content):
    """A figure goes out in the outputs."""
    return lambda service, _container_id: service.show(content)


def data_uri(content):
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


# The disk. ------------------------------------------------------------------------------------------------------------
@scenario(kinds=("cited", "uncited"))
def target_locked(stage):
    """Another program has the file of the cell's first run open, in the way Windows forbids to replace it."""
    stage.play(stage.file("file.csv", table("first run")))
    stage.play(stage.file("file.csv", table("second run")), stage.beside())
    stage.cells = [Cell("Save.", cell_id="cell-1")] * 2
    locked = stage.notebook_dir / "assistant_files" / "file.csv"
    verbs = ("replace", "rename", "link", "unlink", "remove")
    stage.around = lambda: mock.patch.multiple(os, **{one: _unless_locked(getattr(os, one), locked) for one in verbs})


def _unless_locked(original, locked):
    def call(*paths, **more):
        # Path.unlink and its like hand themselves over; only a file that is there can be open elsewhere.
        # A path may be a name in the folder, which is open.
        if locked.exists() and any(Path(os.fsdecode(path)).name == locked.name for path in paths if path is not None):
            raise PermissionError(errno.EACCES, "The process cannot access the file", str(locked))
        return original(*paths, **more)

    return call


@scenario(owed="named")
def disk_full(stage):
    """A file may not grow beyond half a megabyte: the system's own limit, and its own error."""
    stage.play(stage.file("big.bin", Pattern(4_000_000)), stage.beside())

    def around():
        limits, afterwards = resource.getrlimit(resource.RLIMIT_FSIZE), contextlib.ExitStack()
        afterwards.callback(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limits[1]))
        return afterwards

    stage.around = around


@scenario(owed="named")
def the_folder_is_a_file(stage):
    """It was not there when the question was asked: that would be said at once."""
    folder = stage.notebook_dir / "assistant_files"
    stage.settings["prefetch_bytes"] = 0
    stage.play(stage.file(), stage.file("other.csv"), acts={0: [lambda *_: folder.write_text("in the way")]})
