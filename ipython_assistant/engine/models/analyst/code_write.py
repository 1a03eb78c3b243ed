"""Code that writes a table to a file, by the file's ending."""

from __future__ import annotations

from typing import Final

from ipython_assistant.engine.models.analyst.literals import py

NEEDS: Final = {".xlsx": "openpyxl", ".parquet": "pyarrow"}
"""Endings of files that pandas writes with a package of its own, which may not be installed."""
TABLE_ENDINGS: Final = (".csv", ".tsv", ".xlsx", ".json", ".jsonl", ".parquet", ".md", ".html")


def write(name: str, frame: str, *, shown: bool = True) -> str:
    """Write a frame without its index, print its first rows, and say so."""
    ending = name[name.rfind(".") :].casefold()
    lines = _written(name, ending, frame)
    if shown:
        lines.append(f"print({frame}.head(20).to_string(index=False))")
    lines.append(f'print("Saved", {py(name)}, {frame}.shape)')
    return "\n".join(lines)


def _written(name: str, ending: str, frame: str) -> list[str]:
    match ending:
        case ".tsv":
            return [f'{frame}.to_csv({py(name)}, sep="\\t", index=False)']
        case ".xlsx":
            return [f"{frame}.to_excel({py(name)}, index=False)"]
        case ".json":
            return [f'{frame}.to_json({py(name)}, orient="records", date_format="iso", indent=2)']
        case ".jsonl":
            return [f'{frame}.to_json({py(name)}, orient="records", date_format="iso", lines=True)']
        case ".parquet":
            return [f"{frame}.to_parquet({py(name)}, index=False)"]
        case ".html":
            return [f'{frame}.to_html({py(name)}, index=False, na_rep="")']
        case ".md":
            return [
                f'filled = {frame}.astype(object).where({frame}.notna(), "")',
                f'cells = [{frame}.columns, ["---"] * {frame}.shape[1], *filled.to_numpy()]',
                'text = [[str(cell).replace("|", "\\\\|").replace("\\n", " ") for cell in line] for line in cells]',
                f'with open({py(name)}, "w", encoding="utf-8") as file:',
                "    file.writelines(f\"| {' | '.join(line)} |\\n\" for line in text)",
            ]
        case _:
            return [f"{frame}.to_csv({py(name)}, index=False)"]
