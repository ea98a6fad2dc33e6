"""Texts of bodies and queries: what scanners and forms add is dropped, then the rest is judged.

A text is a text with something in it. Blanks, control characters and characters without a width at
its ends are dropped. What is empty after that counts as absent where the field has a default, and
is an error where it has none. Characters inside are never dropped: they are taken or refused.

    Name = Annotated[str, TextRule(sound=…, words=…).meta()]      says what a text is
    class NewReward(Sent): name: Name                             is judged as it is decoded
    text_of(Name, "Café ")                                        judges a text of a path or a query
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints
from unicodedata import category, normalize

from msgspec import NODEFAULT, UNSET, Meta, Struct, UnsetType
from msgspec.structs import fields, force_setattr

from engine.ledger.claims import names_nothing
from engine.people.unseen import INVISIBLE

CONTROLS: Final = "\x00-\x1f\x7f-\x9f\u2028\u2029"
UNSEEN: Final = re.compile(f"[{INVISIBLE}]")
BLANKS: Final = " \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
OUTER: Final = "".join(
    chr(code)
    for first, last in re.findall("(.)(?:-(.))?", BLANKS + CONTROLS + INVISIBLE, re.DOTALL)
    for code in range(ord(first), ord(last or first) + 1)
)
"""Characters that are dropped at the ends of a text: blanks too."""
JOINER: Final = "\u200d"
PICTURE_MARKS: Final = "\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
"""What may stand between a picture and the joiner behind it: how it is drawn, and its skin tone."""
LETTERS: Final = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo"})
GLYPHS: Final = LETTERS | {"Nd", "Nl", "No", "So"}
TEXT: Final = "text"
"""Where a type carries its TextRule: a key of `Meta.extra`."""
IN_DOCUMENT: Final = "".join(
    one if one == "-" else f"\\u{ord(one):04x}"
    for one in BLANKS + CONTROLS + INVISIBLE.partition("\U0001bca0")[0]
)
"""OUTER as the published patterns have it: ranges that every dialect of them reads."""
PLACEHOLDER: Final = re.compile(r"\W*\w?\W*/\W*\w?\W*|n\.\s?a\.?|s\.\s?n\.?", re.IGNORECASE)
"""What people type where they have no name: N/A, n.a., s/n."""

Needs = Literal["", "glyph", "letter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRule:
    """What a text is once its ends are tidy.

    `sound` matches all of it; `words` says so in a sentence: "`x` is <words>". `quick` matches
    texts that need no more looking at, which most are. `characters_max` counts them after NFC.
    A text that is `shown` is normalised to NFC, has no invisible characters and marks of
    direction, and has what it `needs`: a glyph (a letter, digit or picture) or a letter. One that
    is `claimed` happens once: what only stands for it, as N/A does, counts as empty.
    """

    sound: re.Pattern[str]
    words: str
    published: str
    characters_max: int | None = None
    quick: re.Pattern[str] | None = None
    shown: bool = False
    needs: Needs = ""
    claimed: bool = False

    def meta(self, description: str | None = None) -> Meta:
        """Return what makes `Annotated[str, …]` a text of this rule, and its JSON schema."""
        schema: dict[str, Any] = {"pattern": self.published}
        if self.characters_max is not None:
            schema["maxLength"] = self.characters_max
        return Meta(description=description, extra_json_schema=schema, extra={TEXT: self})

    def tidy(self, text: str) -> str:
        """Return a text without what its ends do not need, "" for one with nothing in it.

        Raises ValueError with the end of a sentence about the text.
        """
        kept = tidied(text)
        if not kept:
            return kept
        if self.shown:
            kept = normalize("NFC", kept)
        if self.sound.fullmatch(kept) is None:
            raise ValueError(f"is {self.words}.")
        if self.claimed and names_nothing(kept):
            return ""
        if self.shown and has_unseen(kept):
            raise ValueError("has characters that cannot be seen. Type it again by hand.")
        kinds = {category(one) for one in kept}
        if self.needs == "glyph" and kinds.isdisjoint(GLYPHS):
            raise ValueError("needs a letter or a digit.")
        if self.needs == "letter" and (kinds.isdisjoint(LETTERS) or PLACEHOLDER.fullmatch(kept)):
            raise ValueError("is a name with letters. Leave it out where it is not known.")
        return kept


def tidied(text: str) -> str:
    """Return a text without blanks, control and invisible characters at its ends."""
    return text.strip(OUTER)


def has_unseen(text: str) -> bool:
    """Return whether a text has invisible characters, except joiners inside of a picture."""
    for found in UNSEEN.finditer(text):
        before = text[: found.start()].rstrip(PICTURE_MARKS)
        pictures = before[-1:] + text[found.end() : found.end() + 1]
        if (
            found[0] != JOINER
            or len(pictures) < 2
            or any(category(one) != "So" for one in pictures)
        ):
            return True
    return False


def rule_of(type_: Any) -> TextRule:
    """Return the rule of a text's type; raises LookupError for a type that has none."""
    rule = rule_in(type_)
    if rule is None:
        raise LookupError(f"{type_} has no TextRule")
    return rule


def text_of(type_: Any, text: str) -> str | None:
    """Return a text of a path or a query as its type takes it, None for any other text."""
    try:
        return rule_of(type_).tidy(text) or None
    except ValueError:
        return None


class Sent(Struct, forbid_unknown_fields=True, frozen=True):
    """A body that clients send, or a part of one: its texts are tidied as it is decoded."""

    def __post_init__(self) -> None:
        """Tidy every text; raises ValueError with `Text <field> <what is wrong>`."""
        for name, is_tidy, judge in PLANS[type(self)]:
            value = getattr(self, name)
            if value is None or value is UNSET or is_tidy(value):
                continue
            judge(self, name, value)


Plan = tuple[tuple[str, Callable[[Any], Any], Callable[[Struct, str, Any], None]], ...]


class Plans(dict[type[Struct], Plan]):
    """The texts of each class of bodies, found out when it is first decoded."""

    def __missing__(self, shape: type[Struct]) -> Plan:
        """Return the fields that hold texts, what passes each at a glance, and what judges it."""
        hints = get_type_hints(shape, include_extras=True)
        plan: list[Any] = []
        for field in fields(shape):
            bare = without_null(hints[field.name])
            rule, one = rule_in(bare), _element_of(bare)
            if rule is not None:
                quick = rule.sound if rule.quick is None else rule.quick
                default = NODEFAULT if field.required else field.default
                plan.append((field.name, quick.fullmatch, _judge_of(rule, default)))
            elif one is not None:
                plan.append((field.name, _never, _judge_of_list(one)))
        found = self[shape] = tuple(plan)
        return found


PLANS: Final = Plans()


def _never(_value: Any) -> bool:
    return False


def _judge_of(rule: TextRule, default: Any) -> Callable[[Struct, str, Any], None]:
    def judge(body: Struct, name: str, text: str) -> None:
        kept = _kept(rule, name, text)
        if not kept and default is NODEFAULT:
            raise ValueError(f"Text `{name}` is {rule.words}.")
        force_setattr(body, name, kept or default)

    return judge


def _judge_of_list(rule: TextRule) -> Callable[[Struct, str, Any], None]:
    def judge(body: Struct, name: str, texts: list[str]) -> None:
        kept = [_kept(rule, f"{name}[{at}]", text) for at, text in enumerate(texts)]
        if "" in kept:
            raise ValueError(f"Text `{name}[{kept.index('')}]` is {rule.words}.")
        force_setattr(body, name, kept)

    return judge


def _kept(rule: TextRule, name: str, text: str) -> str:
    try:
        return rule.tidy(text)
    except ValueError as error:
        raise ValueError(f"Text `{name}` {error}") from None


def without_null(type_: Any) -> Any:
    """Return the type of a field where it is there and not null."""
    if get_origin(type_) in (Union, UnionType):
        return next(one for one in get_args(type_) if one not in (NoneType, UnsetType))
    return type_


def bare_type(type_: Any) -> Any:
    """Return a type without what is said of it."""
    return get_args(type_)[0] if get_origin(type_) is Annotated else type_


def rule_in(type_: Any) -> TextRule | None:
    """Return the rule that a type carries, None where it carries none."""
    if get_origin(type_) is not Annotated:
        return None
    for note in get_args(type_)[1:]:
        if isinstance(note, Meta) and note.extra is not None and TEXT in note.extra:
            rule: TextRule = note.extra[TEXT]
            return rule
    return None


def _element_of(type_: Any) -> TextRule | None:
    """Return the rule of a list's texts, None for anything else."""
    bare = bare_type(type_)
    return rule_in(get_args(bare)[0]) if get_origin(bare) is list else None
