"""Characters that nobody sees, which pages and messengers leave in what is copied from them."""

from __future__ import annotations

from typing import Final

INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
"""Characters without a glyph and marks of direction, as ranges of a regular expression."""
VARIATIONS: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
"""Ranges of what says how the character before it is drawn, which pictures have."""
