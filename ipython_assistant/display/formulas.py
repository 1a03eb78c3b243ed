r"""LaTeX in model text → the spans that the page's MathJax sets as formulas, and no others.

Models write `\( \)`, `\[ \]` and `$$ $$`; single dollar signs may be money. MathJax is given only TeX of the commands
below: others make links, set attributes, load extensions or redefine what later formulas mean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ipython_assistant.display.escaping import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

LONGEST = 2_000  # in characters
DEEPEST = 20  # of braces in braces

MATH = "mathjax_process tex2jax_process"
_CLOSERS = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}

_COMMANDS = r"""
alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi varphi
chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell partial nabla infty emptyset forall exists
neg degree prime frac dfrac tfrac binom sqrt sum prod int lim max min sup inf arg det dim exp log ln sin cos tan arcsin
arccos arctan sinh cosh tanh Pr bmod pmod operatorname cdot times div pm mp ast star circ cup cap vee wedge land lor
setminus bigcup bigcap le leq ge geq lt gt ne neq equiv approx cong sim simeq propto ll gg in notin subset subseteq
supset supseteq perp parallel mid because therefore to gets leftarrow rightarrow leftrightarrow Leftarrow Rightarrow
Leftrightarrow implies iff mapsto xrightarrow dots ldots cdots vdots ddots left right middle big Big bigg Bigg bigl
bigr Bigl Bigr lvert rvert lVert rVert langle rangle lfloor rfloor lceil rceil vert Vert hat widehat bar overline
underline tilde vec dot ddot overbrace underbrace overset underset boxed text textrm textit textbf mathrm mathit mathbf
mathsf mathbb mathcal boldsymbol bm displaystyle textstyle limits quad qquad hline
"""
_COMMAND = rf"\\(?:{'|'.join(_COMMANDS.split())})(?![A-Za-z])"
_ENVIRONMENT = r"\\(?:begin|end)\{(?:[pbvV]?matrix|cases|aligned|align\*?|gather(?:ed|\*)?|split|array)\}"
_TEX = re.compile(rf"(?:[^\\$%]|\\[\\,;:!{{}}|%#& ]|{_COMMAND}|{_ENVIRONMENT})+")
_MEANT = re.compile(r"..(?:.*[\\^_=<>]|(?!.*[^\W\d_]{2})(?:.*[^\W\d_]|(?<!\[).*\d))", re.DOTALL)
r"""What formulas have, and not prose such as `\(see below\)` and references such as `\[1\]`."""


def formulas(parser: MarkdownIt) -> None:
    """Let a Markdown parser see formulas."""
    parser.inline.ruler.before("escape", "formula", _formula)
    parser.add_render_rule("formula", _rendered)


def _formula(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 the signature is markdown-it's
    start = state.pos
    opener = state.src[start : start + 2]
    closer = _CLOSERS.get(opener)
    stop = state.src.find(closer, start + 2, min(state.posMax, start + LONGEST)) if closer else -1
    tex = state.src[start + 2 : stop]
    # With another opener in it, it would be looked at again and again.
    if stop < 0 or (opener != closer and opener in tex) or not (_MEANT.match(opener + tex) and _TEX.fullmatch(tex)):
        return False
    depth = 0
    for brace in re.findall(r"\\.|[{}]", tex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if not 0 <= depth <= DEEPEST:
            return False
    if depth or tex.count("\\begin{") != tex.count("\\end{"):
        return False
    if not silent:
        ends = ("\\(", "\\)") if opener == "\\(" else ("\\[", "\\]")
        state.push("formula", "span", 0).content = tex.strip().join(ends)
    state.pos = stop + 2
    return True


def _rendered(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    return f'<span class="{MATH}">{escaped(tokens[index].content)}</span>'
