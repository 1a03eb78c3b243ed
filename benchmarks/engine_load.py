"""The embedded engine under load: many conversations at once, or very many turns in a row.

    python benchmarks/engine_load.py conversations 50
    python benchmarks/engine_load.py turns 1000

Says how long it took and what is left behind: processes, descriptors and memory of the engine. Exits with 1 if an
answer was lost or wrong.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from dataclasses import dataclass, field

import openai
import psutil
from engine_child import engine

TOOL = {"type": "code_interpreter", "container": {"type": "auto"}}
LOGS = ["code_interpreter_call.outputs"]
PER_CONVERSATION = 4
TURNS_OF_ONE = 50


def ask(client: openai.OpenAI, code: str, previous: str | None = None) -> tuple[str, str, str]:
    """What the code printed, the response's id, and the container."""
    response = client.responses.create(
        model="basic",
        input=f"```python\n{code}\n```",
        tools=[TOOL],
        include=LOGS,
        **({"previous_response_id": previous} if previous else {}),
    )
    [call] = [item for item in response.output if item.type == "code_interpreter_call"]
    return "".join(part.logs for part in call.outputs), response.id, call.container_id


@dataclass
class Tally:
    """What came of all of them."""

    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def conversation(self, client: openai.OpenAI, number: int) -> None:
        """A few turns that build on each other."""
        previous = None
        try:
            for turn in range(PER_CONVERSATION):
                began = time.perf_counter()
                code = f"x = {number}\nprint(x)" if turn == 0 else "x += 1\nprint(x)"
                printed, previous, _ = ask(client, code, previous)
                self.seconds.append(time.perf_counter() - began)
                if printed != f"{number + turn}\n":
                    self.wrong.append(f"conversation {number}, turn {turn}: {printed!r}")
        except (openai.OpenAIError, ValueError) as error:
            self.wrong.append(f"conversation {number}: {error!r}")


def conversations(count: int) -> bool:
    """Many at once, each in a container of its own."""
    with engine() as served:
        client = openai.OpenAI(base_url=served.ready["url"], api_key=served.ready["token"], timeout=600, max_retries=0)
        tally, began = Tally(), time.perf_counter()
        threads = [threading.Thread(target=tally.conversation, args=(client, number)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = time.perf_counter() - began
        longest, median = max(tally.seconds), statistics.median(tally.seconds)
        print(f"{count} conversations of {PER_CONVERSATION} turns in {taken:.1f} s, {len(tally.wrong)} lost or wrong")
        print(f"a turn took {median:.2f} s in the median, {longest:.1f} s at most (with its process's start)")
    print("\n".join(tally.wrong[:10]))
    return not tally.wrong


def turns(count: int) -> bool:
    """One after the other; a new conversation now and then, and its container deleted."""
    with engine() as served:
        client = openai.OpenAI(base_url=served.ready["url"], api_key=served.ready["token"], timeout=600, max_retries=0)
        process, wrong, samples = psutil.Process(served.process.pid), 0, []
        previous, container = None, ""
        for number in range(count):
            if number % TURNS_OF_ONE == 0:
                if container:
                    client.containers.delete(container)
                previous = None
            printed, previous, container = ask(client, f"print({number})", previous)
            wrong += printed != f"{number}\n"
            if (number + 1) % (count // 10) == 0:
                samples.append((number + 1, process.memory_info().rss, process.num_fds(), len(process.children())))
                row = samples[-1]
                print(f"{row[0]:>6} turns: {row[1] / 1e6:.1f} MB, {row[2]} descriptors, {row[3]} kernels", flush=True)
    print(f"{wrong} of {count} wrong")
    return not wrong


if __name__ == "__main__":
    sys.exit(0 if {"conversations": conversations, "turns": turns}[sys.argv[1]](int(sys.argv[2])) else 1)
