"""What the demo sends and what must come of it. Data only: a new scene is a line here."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from chappe.cli.demo.stage import NUMBER

FAMILY = "👨‍👩‍👧‍👦"  # seven code points, eleven UTF-16 units, one picture
_LONG = (
    "Your order [2031] has left our warehouse: 1 espresso machine {steel}, 2 kg of coffee, total 429.90 €. "
    "The driver comes on Friday between 9 and 11 and calls you 10 minutes ahead. If you are not at home, he leaves it "
    "with a neighbour [ask us who], or at the shop ~200 m from you. Change the day or the place on our site, up to the "
    "evening before. Thank you for your order, and enjoy your coffee!"
)


class Scene(Struct, frozen=True, kw_only=True):
    """A message, by which door it is handed in, and the final state it must reach.

    `options` are further fields of POST /v1/messages, `send_in_s` makes it a scheduled one. `parts` and `encoding` are
    what it must have become on the wire; `reply` says that the phone answers.
    """

    title: str
    to: str
    text: str
    final: str = "delivered"
    door: Literal["HTTP", "SMPP"] = "HTTP"
    sender: str = "Chappe"
    options: dict[str, Any] = {}
    send_in_s: float = 0.0
    encoding: str = "gsm7"
    parts: int = 1
    reads: str = ""  # what the phone shows, where it is not the text itself
    ucs2: bool = False  # the SMPP client sends it in UCS-2
    reply: bool = False


SCENES: tuple[Scene, ...] = (
    Scene(
        title="A short text",
        to="+33639980001",
        text="Your code is 4711. Do not tell it to anyone.",
        options={"purpose": "otp"},
    ),
    Scene(title="Three parts in GSM-7, with €[]", to="+447700900123", text=_LONG, parts=3),
    Scene(
        title="French, in UCS-2",
        to="+33639980002",
        text="Votre dîner de Noël est prêt : cœur de bœuf et gâteau. À bientôt, Zoé.",
        encoding="ucs2",
        parts=1,
    ),
    Scene(
        title="The same French, smart-encoded",
        to="+33639980003",
        text="Votre dîner de Noël est prêt : cœur de bœuf et gâteau. À bientôt, Zoé.",
        options={"smart_encoding": True},
        reads="Votre diner de Noel est pret : coeur de boeuf et gateau. A bientot, Zoé.",
    ),
    Scene(
        title="A family at the seam of two parts",
        to="+491520012345",
        text=f"Sunday lunch is at our place at one o'clock, come all of you! {FAMILY} Bring the dog too, and "
        "something sweet for afterwards.",
        encoding="ucs2",
        parts=2,
    ),
    Scene(
        title="Scheduled, three seconds from now",
        to="+48501234567",
        text="It is time for your appointment.",
        send_in_s=3.0,
        options={"purpose": "service"},
    ),
    Scene(
        title="Refused by the operator",
        to="+33612555040",
        text="The operator says that this number cannot be.",
        final="failed",
    ),
    Scene(
        title="Its receipt comes before the answer",
        to="+33612555019",
        text="The operator tells us of the delivery first.",
    ),
    Scene(
        title="The phone stays off until it expires",
        to="+33612555007",
        text="This is good for five seconds only.",
        options={"validity_seconds": 5},
        final="expired",
    ),
    Scene(
        title="A phone that answers",
        to="+33612555070",
        text="Shall we meet at 10:30? 👍",
        sender=NUMBER,
        encoding="ucs2",
        reply=True,
    ),
    Scene(title="A short text by SMPP", to="+33639980004", text="Hello from a bind_transceiver.", door="SMPP"),
    Scene(
        title="Three parts by SMPP, in one message_payload",
        to="+380671234567",
        text=_LONG,
        door="SMPP",
        parts=3,
    ),
    Scene(
        title="French by SMPP, data_coding 8",
        to="+33639980005",
        text="Où êtes-vous ? Le thé est prêt.",
        door="SMPP",
        ucs2=True,
        encoding="ucs2",
    ),
    Scene(
        title="By SMPP to a phone out of reach",
        to="+33612555002",
        text="Nobody will read this.",
        door="SMPP",
        final="undelivered",
    ),
)
