"""HTML as a browser would read it: its tags, their attributes, its text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urlsplit

# What our outputs may be made of. Nothing here fetches, runs or takes input.
# fmt: off
HARMLESS_TAGS = frozenset({
    "a", "b", "blockquote", "br", "caption", "code", "details", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
    "li", "ol", "p", "pre", "s", "span", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul",
})
HARMLESS_ATTRIBUTES = frozenset({
    "border", "class", "colspan", "download", "href", "open", "rel", "scope", "start", "style", "tabindex",
    "target",
})
# fmt: on


@dataclass
class Markup(HTMLParser):
    """The parts of a piece of HTML.

    >>> Markup.of('<p class="x">a &amp; <b>b</b></p>').text
    'a & b'
    """

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    @classmethod
    def of(cls, html: str) -> Self:
        markup = cls()
        markup.feed(html)
        markup.close()
        return markup

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.tags.append(("!--", {}))

    def handle_decl(self, decl: str) -> None:
        self.tags.append(("!", {}))

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    def harm(self) -> list[str]:
        """Everything in it that could run, fetch or lead somewhere a link of ours may not."""
        found = []
        for tag, attributes in self.tags:
            if tag not in HARMLESS_TAGS:
                found.append(f"<{tag}>")
            for name, value in attributes.items():
                if name not in HARMLESS_ATTRIBUTES:
                    found.append(f"{tag} {name}={value}")
                if name == "style" and ("url" in value.lower() or "@" in value or "\\" in value):
                    found.append(f"{tag} {name}={value}")
                if name == "href" and not _may_be_clicked(value, attributes):
                    found.append(f"{tag} {name}={value}")
        return found


def _may_be_clicked(href: str, attributes: dict[str, str]) -> bool:
    if "download" in attributes:
        parts = urlsplit(href)
        return not parts.scheme and not parts.netloc and not href.startswith(("/", "\\"))
    return href.startswith(("http://", "https://", "mailto:", "#"))
