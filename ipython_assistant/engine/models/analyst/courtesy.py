"""What surrounds a request and asks for nothing: greetings, who it is for, what for. Blanked before the prompt is read.

Only whole turns of phrase are taken, never single words: a name may stand in them (“Dear Anna,”, “the minister wants”),
but nothing that the table or the grammar knows. A sentence that says what the outcome is like (“One number will do.”)
is a promise: it is taken out too, and checked against the plans.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.lexing import canonical, fold, forms, plain_words
from ipython_assistant.engine.models.analyst.plan import Group, OneOf, Plan, Proportion
from ipython_assistant.engine.models.markdown import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipython_assistant.engine.models.analyst.tables import Table


@dataclass(frozen=True, slots=True)
class Promise:
    """What a sentence says of the outcome: so many numbers, or that a blank is no answer of a kind.

    Args:
        written: The sentence.
        numbers: How many numbers are wanted; 0 where that is not said.
        value: The answer that a blank is not; empty where that is not said.
    """

    written: str
    numbers: int = 0
    value: str = ""

    def kept(self, plans: Sequence[Plan]) -> bool:
        """Whether the plans are what the sentence says."""
        if self.numbers:
            return sum(map(_numbers, plans)) == self.numbers
        return bool(plans) and all(any(_is_answer(one, self.value) for one in plan.where) for plan in plans)


def _numbers(plan: Plan) -> float:
    match plan.task:
        case Group(measures=measures, keys=(), wide=None):
            return len(measures)
        case Proportion(keys=()):
            return 1
        case _:
            return float("nan")


def _is_answer(condition: object, value: str) -> bool:
    return isinstance(condition, OneOf) and not condition.negated and {fold(one) for one in condition.values} == {value}


def without_courtesy(prompt: str, table: Table) -> tuple[str, tuple[Promise, ...]]:
    """The prompt with blanks for what asks for nothing, and what it promised of the outcome."""
    names = _names(table)
    for pattern in _PHRASES:
        prompt = pattern.sub(lambda match: _blank(match) if _free(match, names) else match.group(), prompt)
    promises = []
    for pattern in _PROMISES:
        for match in pattern.finditer(prompt):
            found = match.groupdict()
            count = known.NUMBER_WORDS.get(fold(found.get("count") or ""), 0)
            promises.append(Promise(match["said"], count, fold(found.get("value") or "")))
        prompt = pattern.sub(_blank, prompt)
    return prompt, tuple(promises)


def broken(promises: Sequence[Promise], plans: Sequence[Plan]) -> Iterator[str]:
    """What a prompt says of its outcome that is not so, as Markdown sentences."""
    for one in promises if plans else ():
        if not one.kept(plans):
            yield f"{quoted(one.written)} is not what I understood the rest to ask for."


def _blank(match: re.Match[str]) -> str:
    """As many blanks as were taken; what stood before stays, and so do line breaks."""
    start = match.end("before") - match.start()
    taken = match.group()[start:]
    return match.group()[:start] + "".join(letter if letter == "\n" else " " for letter in taken)


def _names(table: Table) -> frozenset[str]:
    """Every word that is a part of a name or a value of the table."""
    values = (value for column in table.columns for value in column.values)
    names = (*(column.name for column in table.columns), table.stem, *values)
    return frozenset(word for name in names for word in plain_words(name))


def _free(match: re.Match[str], names: frozenset[str]) -> bool:
    """Whether the words of a person's or an occasion's name mean nothing else here."""
    found = match.groupdict()
    who = {form for word in (found.get("who") or "").split() for form in forms(canonical(word))}
    occasion = forms(canonical(found.get("occasion") or ""))
    return (who | occasion).isdisjoint(names) and who.isdisjoint(_MEANT)


_MEANT: Final = (known.KNOWN - {"file"}) | {"nobody", "none"} | known.PERSONS | known.VISITS | known.YOUNG | known.SEXES
_START: Final = r"(?P<before>(?:^|[.!?;:\n])[^\S\n]*)"
_ANYWHERE: Final = r"(?P<before>(?<![\w'’-]))"
_WHO: Final = r"(?P<who>[^\W\d_]+(?:[ ][^\W\d_]+){0,2}?)"
_ASKING: Final = (
    r"(?P<who>(?:[^\W\d_]+[ ]){0,2}(?:minist(?:er|ry)|boss|director|team|colleagues?|partners?|editors?|reviewers?|"
    r"auditors?|committee|board|manager|supervisor|professor|client|press|media|journalists?|donors?|department|office|"
    r"agency|mayor|council|head|chief|who|government|management|funders?))"
)
_END: Final = r"(?=[^\S\n,]*,?[^\S\n]*(?:[.!?;\n]|$))"
_OCCASIONS: Final = (
    "thesis|paper|poster|talk|presentation|slides?|deck|report|bulletin|newsletter|meeting|audit|review|dashboard|"
    "homework|lecture|workshop|conference|press|media|boss|supervisor|minister|ministry|director|board|team|"
    "colleagues?|partners?|donors?|website|appendix|annex|manuscript|dissertation|article"
)
_WANTS: Final = "wants|want|needs|need|asked for|asks for|would like|is asking for|are asking for|has asked for"
_KNOWING: Final = "know|see|have|get|find out|state|work out|check|show"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_PHRASES: Final = tuple(
    map(
        _pattern,
        (
            # “Dear colleague,”, “Hello all,”
            rf"{_START}(?:dear|hi|hello|hey|good (?:morning|afternoon|evening|day))(?:[ ]{_WHO})?[ ]*[,!:\n]",
            # “Data check:”
            (
                rf"{_START}(?:(?:small|quick|short|another|next|simple|data) )?"
                r"(?:question|request|task|query|check|reminder|favou?r|to-?do)[ ]*[:—–](?!\S)"
            ),
            # “For my thesis:”, “for the annual report”
            (
                rf"{_ANYWHERE}for (?:(?:my|our|the|a|an|his|her|their|this|tomorrow['’]s|today['’]s)[ ])?"
                r"(?:(?:annual|monthly|weekly|quarterly|yearly|next|final|internal|upcoming|phd|master['’]?s)[ ])?"
                rf"(?P<occasion>{_OCCASIONS})(?![\w'’-])(?![ ]+(?:of|with|in|from)\b)[ ]*[:,]?"
            ),
            # “the minister wants”, “Our American partners need”
            rf"{_START}(?:(?:the|my|our|a) )?{_ASKING} (?:{_WANTS})(?: (?:me )?to (?:{_KNOWING}))?(?![\w'’-])(?= +\w)",
            # “I have to state”
            rf"{_START}(?:i|we) (?:have|need|want|must|would like|[’']d like) to (?:{_KNOWING})(?![\w'’-])(?=[ ]+\w)",
            # “I need to tell the clinics”, “i have to chase the clinics”: whoever they are, they only hear of it
            (
                r"(?P<before>(?:^|[.!?;:,\n])[^\S\n]*)(?:i|we) (?:have to|need to|want to|must|will|[’']ll) "
                r"(?:tell|inform|brief|notify|call|ring|phone|e-?mail|chase|warn|remind) (?:the|my|our|those|these) "
                rf"[^\W\d_]+{_END}"
            ),
            # “if possible”, “thanks in advance”
            (
                rf"{_ANYWHERE}(?:if (?:possible|you (?:can|could|have time|don['’]t mind|would|please))|"
                r"as soon as (?:possible|you can)|(?:many |kind |best |warm )?(?:thanks|regards|thank you)"
                r"(?: (?:in advance|a lot|so much|very much))?|when you (?:have|find) (?:time|a minute|a moment)|"
                r"(?:could|can|would) you (?:please |kindly )?work (?:that|this|it) out|"
                r"i was wondering (?:if|whether) you could|would (?:it be possible|you be so kind as) to|"
                r"be so kind as to|sorry to bother(?: you)?)(?![\w'’-])"
            ),
        ),
    )
)
_PROMISES: Final = tuple(
    map(
        _pattern,
        (
            # “Two numbers will do”, “One number.”
            (
                rf"{_START}(?P<said>(?:just |only )?(?P<count>one|two|three|four|five|six) (?:number|figure)s?"
                rf"(?: (?:will do|(?:is|are) (?:enough|fine|sufficient))|[ ]?,? please)?){_END}"
            ),
            # “A blank is not a no”
            (
                rf"{_START}(?P<said>(?:a |an |the )?(?:blanks?|empty cells?|missing(?: values?)?) "
                rf"(?:is|are|does|do) not (?:mean |count as )?(?:a |an )?(?P<value>[^\W\d_]+)){_END}"
            ),
        ),
    )
)


def usual(prompt: str, table: Table) -> str:
    """Abbreviations and numbers in the usual spelling: `no. of`, `per 100 000`, `per thousand`."""
    prompt = _NUMBER_OF.sub("number of", prompt)
    prompt = _SPACED.sub(lambda match: re.sub(r"\s", ",", match.group()), prompt)
    prompt = _IN_WORDS.sub(lambda match: _THOUSANDS[match["number"].casefold()], prompt)
    prompt = _ARROW.sub(" as ", _EPI_CURVE.sub("bar chart", prompt))
    stays = [column.name for column in table.columns if _is_stay(plain_words(column.name))]
    named = any(not {"stay", "los"}.isdisjoint(plain_words(column.name)) for column in table.columns)
    return _STAY.sub(f'"{stays[0]}"', prompt) if len(stays) == 1 and not named and '"' not in stays[0] else prompt


def _is_stay(name: tuple[str, ...]) -> bool:
    """True for `days_in_hospital`: what everybody calls the length of stay."""
    return {"days", "nights"} & {*name} != set() and {"hospital", "ward", "inpatient", "admitted"} & {*name} != set()


_ARROW: Final = _pattern(r"\s*(?:->|=>|→)\s*(?=(?:an? )?(?:excel|csv|xlsx|json|parquet|markdown|html)\b)")
_EPI_CURVE: Final = _pattern(r"\bepi(?:demic)?[ -]?curve\b")
_STAY: Final = _pattern(r"\blength of (?:hospital )?stay\b(?: in (?:the )?hospital\b)?")


_NUMBER_OF: Final = _pattern(r"(?<![\w.])(?:no|nr|nbr|num)(?:\.|(?= of)) ?of(?!\w)|(?<!\S)# ?of(?!\w)")
_SPACED: Final = _pattern(r"(?<=\bper )\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\w|[.,]\d)")
_IN_WORDS: Final = _pattern(
    r"(?<=\bper )(?:a |one )?(?P<number>hundred thousand|ten thousand|thousand|million|hundred)(?!\w)"
)
_THOUSANDS: Final = {
    "hundred": "100", "thousand": "1,000", "ten thousand": "10,000", "hundred thousand": "100,000",
    "million": "1,000,000",
}  # fmt: skip
