"""How the cost of work grows with its input."""

import gc
import time
from collections.abc import Callable


def assert_linear(work: Callable[[int], Callable[[], object]], size: int) -> None:
    """Work on four times the input takes at most about four times as long; twice that is forgiven, quadratic is 16.

    `work` prepares an input of a size and gives what is to be done; with the smaller `size` it should take some 50 ms.
    """
    small, large = work(size), work(4 * size)
    small()
    once = min(_seconds(small) for _ in range(3))
    # One good measurement is enough: other work on the machine only ever adds to it.
    assert any(_seconds(large) <= 8 * max(once, 0.01) for _ in range(4))


def _seconds(work: Callable[[], object]) -> float:
    gc.disable()
    began = time.process_time()
    try:
        work()
        return time.process_time() - began
    finally:
        gc.enable()
