"""Fonts for the scripts that a chart's texts are in, such as Ethiopic or Chinese: matplotlib's own has not all of them.

The text of this module is run in each kernel, before any question: it imports nothing of the package, and it waits for
matplotlib to be imported, which takes longer than many an answer.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from functools import wraps
from typing import Any

_REGULAR = 400
_MISSING = re.compile(r"Glyph (\d+) .*missing from")


def fonts_with(characters: set[str]) -> list[str]:
    """The names of installed fonts that have as many of these characters as there are fonts for."""
    from matplotlib import font_manager, ft2font

    found, left = [], set(characters)
    installed = [entry for entry in font_manager.fontManager.ttflist if not entry.name.startswith("Last Resort")]
    installed.sort(key=lambda f: (f.style != "normal", f.weight != _REGULAR, "Sans" not in f.name, "Mono" in f.name))
    for entry in installed:
        if not left:
            break
        try:
            font = ft2font.FT2Font(entry.fname)
        except (OSError, RuntimeError):  # listed, and gone since or out of reach here
            continue
        if has := {character for character in left if font.get_char_index(ord(character))}:
            found.append(entry.name)
            left -= has
    return found


def install(canvas_class: Any) -> None:
    """Have each figure that lacks characters printed once more, with fonts that have them, if there are any."""
    import matplotlib as mpl
    from matplotlib.text import Text

    original = canvas_class.print_figure

    @wraps(original)
    def print_figure(canvas: Any, filename: Any, *args: Any, **options: Any) -> Any:
        is_file = getattr(filename, "seekable", bool)()
        begin = filename.tell() if is_file else 0
        once = not is_file and not isinstance(filename, str | os.PathLike)  # it stays in a pipe, or a `PdfPages`
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("default")  # once for each text
            printed = canvas.figure.draw_without_rendering() if once else original(canvas, filename, *args, **options)
        if fonts := fonts_with({chr(int(found[1])) for one in told if (found := _MISSING.match(str(one.message)))}):
            for text in canvas.figure.findobj(Text):
                text.set_fontfamily([*text.get_fontfamily(), *fonts])
            mpl.rcParams["font.family"] = [*mpl.rcParams["font.family"], *fonts]
            if is_file:
                filename.seek(begin)
                filename.truncate()
        if fonts or once:
            return original(canvas, filename, *args, **options)
        for each in told:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        return printed

    canvas_class.print_figure = print_figure


class FigureFontHook:
    """An import hook: it finds no module, but installs the font fallback just before `matplotlib.figure` loads."""

    def find_spec(self, name: str, *_where: Any) -> None:
        """Called by Python with each module that is imported."""
        if name == "matplotlib.figure":
            from matplotlib.backend_bases import FigureCanvasBase

            install(FigureCanvasBase)


sys.meta_path.insert(0, FigureFontHook())
