"""What the system is used for, and who answers for it."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from jack_stream.config.fields import Section

__all__ = ["NOT_STATED", "PurposeSettings", "Use"]

NOT_STATED: Final = "not stated"
Use: TypeAlias = Literal[
    "not stated",
    "research",
    "art",
    "entertainment",
    "home",
    "accessibility",
    "medical",
    "safety",
    "workplace",
    "education",
    "other",
]
_PROHIBITED = ("workplace", "education")
_Sentence = Annotated[
    str, StringConstraints(max_length=1000), AfterValidator(lambda text: " ".join(text.split()))
]


class PurposeSettings(Section):
    """What people are observed for, and who answers for it: docs/purpose.md. Events carry `use`."""

    use: Use = Field(
        default=NOT_STATED,
        description="In a word. `workplace` and `education` need an `exemption` and its `reason`.",
    )
    text: _Sentence = Field(default="", description="In a sentence, for those who are observed.")
    responsible: _Sentence = Field(default="", description="Who runs it and answers for it.")
    contact: _Sentence = Field(default="", description="How they are reached.")
    exemption: Literal["medical", "safety"] | None = Field(
        default=None, description="Why it may be used at work or in education all the same."
    )
    reason: _Sentence = Field(default="", description="What makes the exemption apply.")

    @model_validator(mode="after")
    def _is_allowed(self) -> PurposeSettings:
        if self.use in _PROHIBITED and (self.exemption is None or not self.reason):
            raise ValueError(
                f'use = "{self.use}" is refused: recognising emotions at work and in education is'
                " prohibited in the EU but for medical or safety reasons (Regulation (EU)"
                " 2024/1689, Article 5(1)(f)). If such a reason applies, write it down: exemption ="
                ' "medical" or "safety", and reason = "..."'
            )
        if self.use not in _PROHIBITED and (self.exemption is not None or self.reason):
            raise ValueError(
                f'use = "{self.use}" needs no exemption and no reason: remove them, or say what the'
                ' use really is ("workplace" or "education")'
            )
        if self.use == "other" and not self.text:
            raise ValueError('use = "other" says nothing: say in text = "..." what it is for')
        return self

    @property
    def gaps(self) -> list[str]:
        """The keys that those who are observed should be told and that say nothing."""
        said = {"use": self.use != NOT_STATED, "text": self.text != ""}
        said |= {"responsible": self.responsible != "", "contact": self.contact != ""}
        return [key for key, is_said in said.items() if not is_said]
