"""Fonts for the scripts that a chart's texts are in, such as Ethiopic or Chinese: matplotlib's own has not all of them.

The text of this module is run in each kernel, before any question: it imports nothing of the package, and it waits for
matplotlib to be imported, which takes longer than many an answer.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import unicodedata
import warnings
from functools import wraps
from typing import Any

_PATCHED = "matplotlib.backend_bases"

_REGULAR = 400
_MISSING = re.compile(r"Glyph (\d+) .*missing from")


def fonts_with(characters: set[str]) -> list[str]:
    """The names of installed fonts that have as many of these characters as there are fonts for."""
    from matplotlib import font_manager, ft2font

    found, left = [], set(characters)
    installed = [entry for entry in font_manager.fontManager.ttflist if not entry.name.startswith("Last Resort")]
    for entry in sorted(installed, key=_how_plain) if left else ():
        try:
            font = ft2font.FT2Font(entry.fname)
        except (OSError, RuntimeError):  # listed, and gone since or out of reach here
            continue
        has = {character for character in left if font.get_char_index(ord(character))}
        if has:
            found.append(entry.name)
            left -= has
        if not left:
            break
    if left:
        scripts = ", ".join(sorted({unicodedata.name(each, "other").split()[0].capitalize() for each in left}))
        print(f"[No font on this machine has these characters ({scripts}): {''.join(sorted(left))}. Install one.]")  # noqa: T201
    return found


def _how_plain(entry: Any) -> tuple[bool, ...]:
    return entry.style != "normal", entry.weight != _REGULAR, "Sans" not in entry.name, "Mono" in entry.name


def install(canvas_class: Any) -> None:
    """Have each figure that lacks characters printed once more, with fonts that have them, if there are any."""
    import matplotlib as mpl
    from matplotlib.text import Text

    original = canvas_class.print_figure

    @wraps(original)
    def print_figure(canvas: Any, filename: Any, *args: Any, **options: Any) -> Any:
        begin = filename.tell() if hasattr(filename, "tell") else 0
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            printed = original(canvas, filename, *args, **options)
        missing = {chr(int(found[1])) for each in told if (found := _MISSING.match(str(each.message)))}
        for each in told:
            if not _MISSING.match(str(each.message)):
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        fonts = fonts_with(missing)
        if not fonts:
            return printed
        for text in canvas.figure.findobj(Text):
            text.set_fontfamily([*text.get_fontfamily(), *fonts])
        mpl.rcParams["font.family"] = [*mpl.rcParams["font.family"], *fonts]
        if hasattr(filename, "tell"):
            filename.seek(begin)
            filename.truncate()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return original(canvas, filename, *args, **options)

    canvas_class.print_figure = print_figure


class AfterImport:
    """A finder of modules that calls `install` once matplotlib's canvases have been imported."""

    def find_spec(self, name: str, *_where: Any) -> Any:
        """Find that one module as always, and add to how it is executed."""
        if name != _PATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_install(module: Any) -> None:
                execute(module)
                install(module.FigureCanvasBase)

            spec.loader.exec_module = execute_and_install  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, AfterImport())
