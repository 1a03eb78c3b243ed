"""What a figure shows: its drawn axes are read, in the process that draws them, when it is saved or at the end."""

import math
from typing import Any


class Reader:
    """Reads every figure that is made from now on: when it is saved, else at the end."""

    def __init__(self) -> None:
        import matplotlib as mpl

        mpl.use("Agg")
        import matplotlib.axes
        import matplotlib.figure
        import matplotlib.pyplot as plt

        self.figures: list[Any] = []
        self.saved: list[Any] = []
        self.axes: list[dict[str, Any]] = []
        self.boxes: dict[int, list[tuple[float, str, float, bool]]] = {}
        made, boxed = matplotlib.figure.Figure.__init__, matplotlib.axes.Axes.bxp
        saved = matplotlib.figure.Figure.savefig

        def make(figure: Any, *args: Any, **kwargs: Any) -> None:
            made(figure, *args, **kwargs)
            self.figures.append(figure)

        def save(figure: Any, *args: Any, **kwargs: Any) -> None:
            if figure not in self.saved:
                self.read(figure)
            saved(figure, *args, **kwargs)

        def box(axes: Any, stats: Any, positions: Any = None, *args: Any, **kwargs: Any) -> Any:
            places = positions if positions is not None else range(1, len(stats) + 1)
            flat = kwargs.get("orientation") == "horizontal" or kwargs.get("vert") is False
            for place, one in zip(places, stats, strict=True):
                self.boxes.setdefault(id(axes), []).append((place, str(one.get("label", "")), float(one["med"]), flat))
            return boxed(axes, stats, positions, *args, **kwargs)

        matplotlib.figure.Figure.__init__ = make
        matplotlib.figure.Figure.savefig = save
        matplotlib.axes.Axes.bxp = box
        plt.show = lambda *_, **__: None

    def read(self, figure: Any) -> None:
        figure.canvas.draw()
        self.saved.append(figure)
        self.axes += [self._axes(ax) for ax in figure.axes if ax.get_label() != "<colorbar>"]

    def read_the_rest(self) -> None:
        for figure in self.figures:
            if figure not in self.saved:
                self.read(figure)

    def taken(self) -> list[dict[str, Any]]:
        """The axes read since the last call, as JSON values of `grading.Axes`."""
        axes, self.axes, self.figures, self.saved = self.axes, [], [], []
        return axes

    def _axes(self, ax: Any) -> dict[str, Any]:
        boxes = [
            (_at(ax.yaxis if flat else ax.xaxis, place, label or "?"), median)
            for place, label, median, flat in self.boxes.get(id(ax), [])
        ]
        lines = [] if boxes else [line for line in ax.lines if line.get_transform() == ax.transData]
        curves = [line for line in lines if line.get_linestyle() not in ("None", "", " ") and len(line.get_xdata())]
        dots = [line for line in lines if line not in curves]
        bars = [one for one in ax.containers if hasattr(one, "orientation") and len(one.patches)]
        return {
            "lines": [
                (name, _places(ax.xaxis, line), _floats(line.get_ydata()))
                for name, line in zip(_labels(ax, curves), curves, strict=True)
            ],
            "bars": [_bars(ax, name, one) for name, one in zip(_labels(ax, bars), bars, strict=True)],
            "stacked": any(_foot(one, patch) != 0 for one in bars for patch in one.patches if _height(one, patch) > 0),
            "bins": [found for name, one in zip(_labels(ax, bars), bars, strict=True) if (found := _bins(name, one))]
            + _steps(ax),
            "boxes": boxes,
            "points": [
                *(
                    tuple(_floats(pair))
                    for one in ax.collections
                    if hasattr(one, "get_sizes")
                    for pair in one.get_offsets()
                ),
                *(
                    pair
                    for line in dots
                    for pair in zip(_floats(line.get_xdata()), _floats(line.get_ydata()), strict=True)
                ),
            ],
            "grids": [_grid(ax, one) for one in (*ax.images, *ax.collections) if _is_grid(one)],
        }


def _floats(values: Any) -> list[float | None]:
    import numpy as np

    found = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan).ravel()
    return [None if math.isnan(one) else float(one) for one in found]


def _labels(ax: Any, drawn: list[Any]) -> list[str]:
    """The artists' own labels; else the legend's or the texts beside them, if there are as many."""
    own = [str(one.get_label()) for one in drawn]
    if not any(label.startswith("_") for label in own):
        return own
    texts = ax.get_legend().get_texts() if ax.get_legend() else ax.texts
    return [text.get_text() for text in texts] if len(texts) == len(own) else own


def _ticks(axis: Any) -> dict[float, str]:
    return {tick.get_loc(): tick.label1.get_text() for tick in axis.get_major_ticks() if tick.label1.get_text()}


def _is_number(text: str) -> bool:
    try:
        float(text.replace("\u2212", "-"))
    except ValueError:
        return False
    return True


def _dated(axis: Any) -> bool:
    formatter = type(axis.get_major_formatter()).__name__
    return "Date" in formatter or ("Date" in type(axis.get_converter()).__name__ and formatter != "FixedFormatter")


def _at(axis: Any, place: float, otherwise: str = "?") -> str:
    """The label of the tick that is nearest, within half a step; the day on an axis of dates."""
    import pandas as pd
    from matplotlib.dates import num2date

    freq = getattr(axis.get_major_formatter(), "freq", None)
    if freq is not None:  # pandas draws a time series at its periods' ordinals
        return str(pd.Period(ordinal=round(place), freq=freq))
    if _dated(axis):
        return num2date(place).strftime("%Y-%m-%d")
    ticks = _ticks(axis)
    near = min(ticks, key=lambda one: abs(one - place), default=None)
    if near is not None and abs(near - place) < 0.5:
        return ticks[near]
    return otherwise


def _places(axis: Any, line: Any) -> list[str]:
    """Where a line's points stand: what was given (dates, periods, words), or the ticks' words, `?` between ticks."""
    import pandas as pd

    given = list(line.get_xdata(orig=True))
    if any(isinstance(one, str) for one in given):
        return [str(one) for one in given]
    if any(isinstance(one, pd.Period) or hasattr(one, "year") or type(one).__name__ == "datetime64" for one in given):
        return [str(one) if isinstance(one, pd.Period) else pd.Timestamp(one).strftime("%Y-%m-%d") for one in given]
    if _dated(axis) or getattr(axis.get_major_formatter(), "freq", None) is not None:
        return [_at(axis, float(one)) for one in line.get_xdata(orig=False)]
    words = {place: text for place, text in _ticks(axis).items() if not _is_number(text)}
    if words and all(float(one) == round(float(one)) for one in given):
        return [words.get(float(one), "?") for one in given]
    return [format(float(one), "g") for one in given]


def _flat(container: Any) -> bool:
    return container.orientation == "horizontal"


def _height(container: Any, patch: Any) -> float:
    return patch.get_width() if _flat(container) else patch.get_height()


def _foot(container: Any, patch: Any) -> float:
    return patch.get_x() if _flat(container) else patch.get_y()


def _bars(ax: Any, name: str, container: Any) -> tuple[str, list[str], list[float | None]]:
    """Bottom to top is how bars that lie are drawn; they are read from the top, as people do."""
    flat = _flat(container)
    axis = ax.yaxis if flat else ax.xaxis
    middles = [
        patch.get_y() + patch.get_height() / 2 if flat else patch.get_x() + patch.get_width() / 2
        for patch in container.patches
    ]
    down = flat and not axis.get_inverted()
    rows = sorted(zip(middles, container.patches, strict=True), key=lambda one: one[0], reverse=down)
    heights = _floats([_height(container, patch) for _, patch in rows])
    return name, [_at(axis, float(middle), format(float(middle), "g")) for middle, _ in rows], heights


def _bins(name: str, container: Any) -> tuple[str, list[float], list[float]] | None:
    if _flat(container):
        return None
    patches = container.patches
    edges = [patches[0].get_x(), *(patch.get_x() + patch.get_width() for patch in patches)]
    touching = all(
        math.isclose(left, patch.get_x(), abs_tol=1e-6) for left, patch in zip(edges[:-1], patches, strict=True)
    )
    return (name, [float(one) for one in edges], [float(one.get_height()) for one in patches]) if touching else None


def _steps(ax: Any) -> list[tuple[str, list[float | None], list[float | None]]]:
    found = [one for one in ax.patches if type(one).__name__ == "StepPatch"]
    return [(str(one.get_label()), _floats(one.get_data().edges), _floats(one.get_data().values)) for one in found]


def _is_grid(artist: Any) -> bool:
    array = artist.get_array()
    return type(artist).__name__ in {"AxesImage", "QuadMesh"} and array is not None and array.ndim == 2


def _grid(ax: Any, artist: Any) -> tuple[list[str], list[str], list[list[float | None]]]:
    cells = [_floats(row) for row in artist.get_array()]
    half = 0.5 if type(artist).__name__ == "QuadMesh" else 0.0
    down = [_at(ax.yaxis, place + half) for place in range(len(cells))]
    across = [_at(ax.xaxis, place + half) for place in range(len(cells[0]))]
    return down, across, cells
