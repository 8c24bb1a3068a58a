from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """The label of a radio button, with the sentence that stands beneath it."""

    label: str
    text: str

    def __str__(self) -> str:
        return self.label
