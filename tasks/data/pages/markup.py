"""HTML in which nothing of the data can become markup, and the frame and style that all pages share."""

from html import escape
from pathlib import Path
from typing import Self

_STYLE = (Path(__file__).with_name("style.css")).read_text(encoding="utf-8")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Browsers load nothing for these pages, whatever might have got into them."""


class Html(str):
    """Markup that is safe to put into a page as it is."""

    __slots__ = ()

    @classmethod
    def joined(cls, parts: "list[Html]") -> Self:
        return cls("\n".join(parts))


def tag(name: str, *children: "str | Html", **attributes: str) -> Html:
    """An element. Children that are plain text are escaped; ``class_`` stands for ``class``."""
    listed = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items()
    )
    inner = "".join(child if isinstance(child, Html) else escape(child) for child in children)
    return Html(f"<{name}{listed}>{inner}</{name}>")


def page(title: str, body: list[Html], *, made_by: str, style: str = "") -> str:
    """A whole document that loads nothing from anywhere; ``style`` is added to what all pages share."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + f"\n{tag('footer', made_by)}\n</body>\n</html>\n"
    )


def facts(entries: dict[str, str]) -> Html:
    """Figures in boxes."""
    return tag(
        "dl",
        *(tag("div", tag("dt", name), tag("dd", value)) for name, value in entries.items()),
        class_="facts",
    )


def table(header: list[str], rows: list[list[str | Html]], *, numbers: frozenset[int] = frozenset()) -> Html:
    """A table; the columns at the positions ``numbers`` are aligned as numbers."""

    def cells(kind: str, values: "list[str] | list[str | Html]") -> Html:
        return tag(
            "tr",
            *(
                tag(kind, value, **({"class_": "number"} if index in numbers else {}))
                for index, value in enumerate(values)
            ),
        )

    return tag("table", tag("thead", cells("th", header)), tag("tbody", *(cells("td", row) for row in rows)))
