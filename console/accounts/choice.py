from typing import Self


class Choice(str):
    """The label of a radio button, with the sentence that stands beneath it."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, label: str, text: str) -> Self:
        choice = super().__new__(cls, label)
        choice.text = text
        return choice
