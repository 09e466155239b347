"""What is wrong with a text, said so that a customer can act on it."""

from __future__ import annotations


class TextError(ValueError):
    """A text, header or sender that cannot go out as asked.

    `code` is stable (`text_empty`, `text_too_long`, `encoding_impossible`, `invalid_text`, `invalid_option`,
    `invalid_udh`, `invalid_sender`), `message` says what to do, `param` names the field.
    """

    def __init__(self, code: str, message: str, param: str = "text") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
