"""The words for files on their way, and that they reach the page."""

from __future__ import annotations

from ipython_assistant.display.live import FetchProgress, FrontEnd, LiveOutput


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now

    def after(self, seconds: float) -> None:
        self.now += seconds


def test_files_on_their_way_are_counted_measured_and_timed() -> None:
    clock = Clock()
    words = FetchProgress(clock)

    assert words(0, 1, 0) == "fetching 0 of 1 file (0 bytes)"
    clock.after(0.1)
    assert words(0, 5, 4_000_000) == "fetching 0 of 5 files (4.0 MB)"
    clock.after(1.9)
    assert words(3, 5, 5_000_000) == "fetching 3 of 5 files (5.0 MB, 2.5 MB/s)"


def test_a_file_that_is_begun_again_does_not_make_the_rate_negative() -> None:
    clock = Clock()
    words = FetchProgress(clock)
    words(0, 1, 5_000_000)
    clock.after(1)
    assert words(0, 1, 0) == "fetching 0 of 1 file (0 bytes)"
    clock.after(1)
    assert words(0, 1, 1_000_000) == "fetching 0 of 1 file (1.0 MB, 1.0 MB/s)"


def test_the_line_below_a_running_answer_says_every_state_in_turn() -> None:
    clock, shown = Clock(), []

    class Publisher:
        def publish(self, data, metadata=None, *, transient=None, update=False) -> None:
            shown.append(data["text/plain"])

    fetching = FetchProgress(clock)
    with LiveOutput(FrontEnd(live=True), publisher=Publisher(), clock=clock) as live:
        for activity in ("connecting", "thinking", "writing code", "running code"):
            live.update(None, activity)
            clock.after(1)
        clock.after(1.5)
        live.tick()
        clock.after(1)
        for done, received in ((0, 0), (3, 4_000_000)):
            live.update(None, fetching(done, 5, received))
            clock.after(1)

    assert shown == [
        "Connecting …",
        "Thinking …",
        "Writing code …",
        "Running code …",
        "Running code, 2 s …",
        "Fetching 0 of 5 files (0 bytes) …",
        "Fetching 3 of 5 files (4.0 MB, 4.0 MB/s) …",
        "",
    ]
