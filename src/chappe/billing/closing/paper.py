"""A sheet as PDF: `python -I paper.py < sheet.json > sheet.pdf`, a process of its own, since it is work.

It needs reportlab and the fonts beside it, nothing of Chappe. The same sheet gives the same octets. The fonts have
Latin, Greek, Cyrillic, Armenian, Georgian, Arabic and Hebrew letters, the last two without their joining and direction.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    LongTable,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

PLAIN, BOLD = "DejaVuSans", "DejaVuSans-Bold"
INK, QUIET, ACCENT = HexColor("#1f2933"), HexColor("#627d98"), HexColor("#0b4f6c")
RULE, SHADE = HexColor("#d9e2ec"), HexColor("#f0f4f8")
SIDE, TOP, BOTTOM = 20 * mm, 18 * mm, 22 * mm
WIDTH = A4[0] - 2 * SIDE

_TEXT = ParagraphStyle("text", fontName=PLAIN, fontSize=8.5, leading=12, textColor=INK)
_NUMBER = ParagraphStyle("number", parent=_TEXT, alignment=TA_RIGHT)
_SMALL = ParagraphStyle("small", parent=_TEXT, fontSize=7.5, leading=10.5, textColor=QUIET)
_STRONG = ParagraphStyle("strong", parent=_TEXT, fontName=BOLD)
_SELLER = ParagraphStyle("seller", parent=_STRONG, fontSize=12, leading=16)
_TITLE = ParagraphStyle("title", parent=_STRONG, fontSize=20, leading=24, textColor=ACCENT, alignment=TA_RIGHT)
_NAKED = [
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 0),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
]


def render(sheet: dict[str, Any]) -> bytes:
    """The PDF of a sheet (`layout.Sheet` as plain values). Made twice: the first tells how many pages there are."""
    for name in (PLAIN, BOLD):
        registerFont(TTFont(name, str(Path(__file__).with_name("fonts") / f"{name}.ttf")))
    _, pages = _built(sheet, 0)
    return _built(sheet, pages)[0]


def _built(sheet: dict[str, Any], pages: int) -> tuple[bytes, int]:
    target = io.BytesIO()
    document = BaseDocTemplate(
        target,
        pagesize=A4,
        title=f"{sheet['title']} {sheet['number']}",
        author=sheet["seller"][0],
        creator="Chappe",
        invariant=1,  # no date, no random number
        lang="en",
    )

    def foot(canvas: Canvas, _document: Any) -> None:
        canvas.saveState()
        canvas.setStrokeColor(RULE)
        canvas.line(SIDE, BOTTOM - 4 * mm, A4[0] - SIDE, BOTTOM - 4 * mm)
        canvas.setFont(PLAIN, 7)
        canvas.setFillColor(QUIET)
        canvas.drawString(SIDE, BOTTOM - 8.5 * mm, _fitting(canvas, sheet["foot"], WIDTH - 30 * mm))
        canvas.drawRightString(A4[0] - SIDE, BOTTOM - 8.5 * mm, f"Page {canvas.getPageNumber()} of {pages}")
        canvas.restoreState()

    frame = Frame(SIDE, BOTTOM, WIDTH, A4[1] - TOP - BOTTOM, leftPadding=0, rightPadding=0, topPadding=0)
    document.addPageTemplates([PageTemplate(frames=[frame], onPage=foot)])
    document.build(_story(sheet))
    return target.getvalue(), document.page


def _story(sheet: dict[str, Any]) -> list[Flowable]:
    return [
        _head(sheet),
        Spacer(0, 10 * mm),
        _parties(sheet),
        Spacer(0, 9 * mm),
        _lines(sheet),
        Spacer(0, 4 * mm),
        KeepTogether([_totals(sheet["totals"]), Spacer(0, 8 * mm)]),
        *(Paragraph(escape(note), _SMALL) for note in sheet["notes"]),
    ]


def _head(sheet: dict[str, Any]) -> Flowable:
    name, *rest = sheet["seller"]
    seller = [Paragraph(escape(name), _SELLER), *(Paragraph(escape(one), _SMALL) for one in rest)]
    title = [Paragraph(escape(sheet["title"]), _TITLE), Paragraph(escape(sheet["number"]), _NUMBER)]
    return Table([[seller, title]], colWidths=[WIDTH * 0.6, WIDTH * 0.4], style=TableStyle(_NAKED))


def _parties(sheet: dict[str, Any]) -> Flowable:
    name, *rest = sheet["customer"]
    to = [Paragraph("To", _SMALL), Paragraph(escape(name), _STRONG), *(Paragraph(escape(one), _TEXT) for one in rest)]
    rows = [[Paragraph(escape(what), _SMALL), Paragraph(escape(value), _TEXT)] for what, value in sheet["facts"]]
    tight = [("TOPPADDING", (0, 0), (-1, -1), 0.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 0.5)]
    facts = Table(rows, colWidths=[WIDTH * 0.18, WIDTH * 0.27], style=TableStyle([*_NAKED, *tight]))
    return Table([[to, facts]], colWidths=[WIDTH * 0.55, WIDTH * 0.45], style=TableStyle(_NAKED))


def _lines(sheet: dict[str, Any]) -> Flowable:
    """The table; its head comes again on each page."""
    columns = sheet["columns"]
    rows: list[list[Any]] = [[column["title"] for column in columns]]
    rows += [[Paragraph(escape(text), _TEXT), *numbers] for text, *numbers in sheet["rows"]]
    style: list[Any] = [
        ("FONT", (0, 0), (-1, 0), BOLD, 7.5),
        ("TEXTCOLOR", (0, 0), (-1, 0), ACCENT),
        ("BACKGROUND", (0, 0), (-1, 0), SHADE),
        ("FONT", (1, 1), (-1, -1), PLAIN, 8.5),
        ("TEXTCOLOR", (1, 1), (-1, -1), INK),
        ("VALIGN", (0, 0), (-1, 0), "MIDDLE"),
        ("VALIGN", (0, 1), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
        ("TOPPADDING", (0, 0), (-1, -1), 3.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
        ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ]
    style += [("ALIGN", (at, 0), (at, -1), "RIGHT") for at, column in enumerate(columns) if column["number"]]
    return LongTable(
        rows, colWidths=[WIDTH * column["width"] for column in columns], repeatRows=1, style=TableStyle(style)
    )


def _totals(totals: list[list[str]]) -> Flowable:
    last = len(totals) - 1
    style: list[Any] = [
        *_NAKED,
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("FONT", (0, 0), (-1, last - 1), PLAIN, 8.5),
        ("FONT", (0, last), (-1, last), BOLD, 10.5),
        ("TEXTCOLOR", (0, 0), (-1, -1), INK),
        ("TEXTCOLOR", (0, last), (-1, last), ACCENT),
        ("ALIGN", (0, 0), (-1, -1), "RIGHT"),
        ("LINEABOVE", (0, last), (-1, last), 0.8, ACCENT),
        ("TOPPADDING", (0, last), (-1, last), 5),
    ]
    return Table(totals, colWidths=[WIDTH * 0.38, WIDTH * 0.2], hAlign="RIGHT", style=TableStyle(style))


def _fitting(canvas: Canvas, text: str, width: float) -> str:
    """The text, cut where it would be too wide."""
    while len(text) > 1 and canvas.stringWidth(text, PLAIN, 7) > width:
        text = text[:-2] + "…"
    return text


if __name__ == "__main__":
    sys.stdout.buffer.write(render(json.load(sys.stdin.buffer)))
