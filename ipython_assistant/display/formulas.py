r"""LaTeX in model text → the spans that the page's MathJax sets as formulas, and no others.

Models write `\( \)`, `\[ \]` and `$$ $$`; what stands between single dollar signs may be money, and stays as it is
written. MathJax is kept out of everything else of an answer. What it is given is TeX of a list of known commands: there
are others that make links, set attributes, load extensions or redefine what later formulas mean. A formula with any of
those stays as it is written too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ipython_assistant.display.escaping import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

LONGEST, MOST_LINES = 2_000, 30
"""Characters of a formula, and lines of one that stands by itself."""
DEEPEST = 20
"""Of braces in braces."""

MATH = "mathjax_process tex2jax_process"
_CLOSERS = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}

_COMMANDS = frozenset(
    re.findall(
        r"\w+",
        """
alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho varrho sigma tau
upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega hbar ell Re Im partial
nabla infty emptyset varnothing forall exists neg lnot angle degree prime dagger square top bot frac dfrac tfrac cfrac
binom sqrt sum prod int iint oint lim limsup liminf max min sup inf arg argmax argmin det dim ker gcd exp log ln sin
cos tan cot sec csc arcsin arccos arctan sinh cosh tanh Pr mod bmod pmod operatorname cdot times div pm mp ast star
circ bullet oplus otimes cup cap vee wedge lor land setminus bigcup bigcap le leq ge geq lt gt ne neq equiv approx
cong sim simeq propto ll gg prec succ leqslant geqslant in notin ni subset supset subseteq supseteq perp parallel mid
vdash models because therefore to gets leftarrow rightarrow leftrightarrow Leftarrow Rightarrow Leftrightarrow
longrightarrow Longrightarrow implies iff mapsto uparrow downarrow xrightarrow dots ldots cdots vdots ddots colon left
right middle big Big bigg Bigg bigl bigr Bigl Bigr lvert rvert lVert rVert langle rangle lfloor rfloor lceil rceil
vert Vert lbrace rbrace backslash hat widehat bar overline underline tilde widetilde vec dot ddot overbrace underbrace
overset underset substack boxed text textrm textit textbf texttt mathrm mathit mathbf mathsf mathtt mathbb mathcal
mathfrak boldsymbol bm displaystyle textstyle limits nolimits quad qquad hline begin end
""",
    )
)
_SIGNS = frozenset("\\,;:!{}|%#& ")
_ENVIRONMENT_NAME = re.compile(r"[pbvV]?matrix|cases|aligned|align\*?|gather(ed|\*)?|split|array|equation\*?")
_COMMAND = re.compile(r"\\([A-Za-z]+|.|\Z)", re.DOTALL)
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*(?:\{([^{}]*)\})?")
_MATHEMATICAL = re.compile(r"[\\^_=<>]")
_WORD = re.compile(r"[^\W\d_]{2,}")


def formulas(parser: MarkdownIt) -> None:
    """Let a Markdown parser see formulas: as blocks of their own, and within a line."""
    parser.block.ruler.before("fence", "formula", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    parser.inline.ruler.before("escape", "formula", _inline)
    parser.add_render_rule("formula", _rendered)


def is_formula(tex: str) -> bool:
    r"""Whether it is TeX that may be set: known commands alone, braces and environments closed.

    >>> is_formula(r"\frac{a}{b}"), is_formula(r"\href{javascript:alert(1)}{x}"), is_formula("}{")
    (True, False, False)
    """
    if not tex.strip() or len(tex) > LONGEST or "$" in tex:
        return False
    environments = _ENVIRONMENT.findall(tex)
    begun, ended = ([name for word, name in environments if word == which] for which in ("begin", "end"))
    if any(command not in _COMMANDS and command not in _SIGNS for command in _COMMAND.findall(tex)):
        return False
    depth = 0
    for brace in re.findall(r"[{}%]", _COMMAND.sub("", tex)):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        # A comment would hide the end of the formula.
        if brace == "%" or not 0 <= depth <= DEEPEST:
            return False
    return depth == 0 and sorted(begun) == sorted(ended) and all(map(_ENVIRONMENT_NAME.fullmatch, begun))


def _is_meant(opener: str, tex: str) -> bool:
    r"""Whether what is between is mathematics, not prose in escaped brackets such as `\[see below\]`."""
    is_reference = opener == "\\[" and not re.search(r"[^\W\d]", tex)  # such as `\[1\]`
    return bool(_MATHEMATICAL.search(tex)) or not (is_reference or _WORD.search(tex))


def _inline(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 the signature is markdown-it's
    start = state.pos
    opener = state.src[start : start + 2]
    closer = _CLOSERS.get(opener)
    stop = state.src.find(closer, start + 2, min(state.posMax, start + LONGEST)) if closer else -1
    tex = state.src[start + 2 : stop]
    # With another opener in it, it would be looked at again and again.
    if stop < 0 or (opener != closer and opener in tex) or not (_is_meant(opener, tex) and is_formula(tex)):
        return False
    if not silent:
        token = state.push("formula", "span", 0)
        token.content, token.markup = tex.strip(), opener
    state.pos = stop + 2
    return True


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001 as above
    opener = state.src[state.bMarks[start] + state.tShift[start] :][:2]
    if opener not in {"\\[", "$$"} or state.is_code_block(start):
        return False
    text = state.getLines(start, min(end, start + MOST_LINES), state.blkIndent, keepLastLF=False).lstrip()
    tex, closed, rest = text[2:].partition(_CLOSERS[opener])
    after = start + tex.count("\n") + 1
    inside = all(state.sCount[line] >= state.blkIndent and not state.isEmpty(line) for line in range(start + 1, after))
    tex = tex.strip()
    if not (closed and inside) or rest.partition("\n")[0].strip() or not _is_meant(opener, tex) or not is_formula(tex):
        return False
    if not silent:
        token = state.push("formula", "p", 0)
        token.content, token.markup, token.map = tex, opener, [start, after]
        state.line = after
    return True


def _rendered(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    tex = f"\\[{token.content}\\]" if token.markup in {"\\[", "$$"} else f"\\({token.content}\\)"
    return f'<{token.tag} class="{MATH}">{escaped(tex)}</{token.tag}>'
