"""Every fault with every kind of file: saved with the right bytes, or named with a reason in a cell that failed."""

from collections import Counter
from dataclasses import dataclass, field

import pytest

from faults.scenarios import SCENARIOS
from faults.server import sha256_of
from ipython_assistant.errors import AssistantError

NOT_LOST = ("saved", "named", "said")

# Each fault with one kind of file, in turn; with the others in `make slow`.
CASES = [
    pytest.param(each, kind, id=f"{each.name}-{kind}", marks=[pytest.mark.slow] * (place != number % len(each.kinds)))
    for number, each in enumerate(SCENARIOS.values())
    for place, kind in enumerate(each.kinds)
]


@dataclass
class Tally:
    """What became of all files of all scenarios."""

    fates: Counter[str] = field(default_factory=Counter)
    wrong_bytes: int = 0

    def __str__(self):
        parts = [f"{self.fates[fate]} {fate}" for fate in (*NOT_LOST, "lost in an error", "lost silently")]
        return f"{', '.join(parts)}; {self.wrong_bytes} saved with wrong bytes"


@pytest.mark.parametrize(("scenario", "kind"), CASES)
def test_no_file_is_lost(asking, tallies, scenario, kind):
    stage = asking.stage(kind)
    scenario.prepare(stage)
    before = set(asking.notebook_dir.parent.rglob("*"))
    ran = asking.run_all(stage)
    artifacts = [artifact for each in ran if each.answer for artifact in each.answer.artifacts]
    contents = {path: path.read_bytes() for path in {artifact.path for artifact in artifacts} if path.is_file()}
    on_disk = {
        artifact.sha256
        for artifact in artifacts
        if artifact.path.parent == asking.folder
        and sha256_of(contents.get(artifact.path, b"gone")) == artifact.sha256
        and len(contents[artifact.path]) == artifact.size
    }
    made = list(asking.service.made.values())
    fates = [(file, _fate(file, on_disk, ran, scenario.owed_for(kind, file.name))) for file in made]
    strangers = {artifact.sha256 for artifact in artifacts} - {sha256_of(file.content) for file in made}
    tally = tallies.setdefault("ipython_assistant", Tally())
    tally.fates.update(fate for _, fate in fates)
    tally.wrong_bytes += len(strangers)
    told = _told(fates, ran)
    assert fates, "the scenario made no file"
    assert all(fate in NOT_LOST for _, fate in fates), told
    assert all(fate in {"saved", scenario.owed_for(kind, file.name)} for file, fate in fates), told
    assert not strangers, told
    new_files = [path for path in asking.notebook_dir.parent.rglob("*") if path not in before and path.is_file()]
    outside = [path for path in new_files if asking.folder not in (path, *path.parents)]
    assert not [path for path in outside if "ipython" not in path.parts[-3:]]
    assert all(each.error is None or isinstance(each.error, AssistantError) for each in ran), told
    any_named = any(fate == "named" for _, fate in fates)
    assert any_named or not scenario.ends_well or ran[-1].error is None, told
    assert scenario.ends_well or ran[-1].error is not None
    assert not [each for each in asking.folder.rglob("*") if each.name.startswith(".staging") or each.suffix == ".part"]


def _fate(made, on_disk, ran, owed):
    if sha256_of(made.content) in on_disk:
        return "saved"
    for cell in ran:
        failed = cell.answer.failed if cell.answer is not None and isinstance(cell.error, AssistantError) else ()
        if any(_names(each, made) and each.reason.strip() for each in failed):
            return "named"
    if ran[-1].error is not None:
        return "lost in an error"
    is_said = owed == "said" and "list of files" in ran[-1].html and "missing" in ran[-1].html
    return "said" if is_said else "lost silently"


def _names(failed, made):
    is_the_file = made.file_id and failed.file_id == made.file_id
    return is_the_file or failed.name == made.name or (made.name == "figure" and failed.name.startswith("figure-"))


def _told(fates, ran):
    lines = [f"{made.name!r} ({made.file_id}): {fate}" for made, fate in fates if fate != "saved"]
    for each in ran:
        lines.append(f"error: {each.error!r}")
        if each.answer is not None:
            lines += [f"saved: {artifact.own_name!r} as {artifact.name!r}" for artifact in each.answer.artifacts[:40]]
            lines += [f"failed: {failed.name!r}: {failed.reason}" for failed in each.answer.failed]
            lines += [f"note: {note}" for note in each.answer.notes]
    return "\n".join(lines)
