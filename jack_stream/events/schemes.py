"""Emotion schemes, and how the classes of one are said in another.

Facts and choices in one place; docs/fusion.md shows them. A class that a scheme lacks is spread
over the classes of that scheme, so that every row of every table adds up to 1. Which classes
those are is our choice, made by these rules: what is only a stronger or milder form of a class goes
there; what lies between classes goes half to each; ``*`` stands for all classes alike and is what
says nothing.

Valence, -1 (unpleasant) to 1 (pleasant): of anger, disgust, fear, joy (as happy), sadness, surprise
and boredom the mean pleasure that Russell and Mehrabian, "Evidence for a three-factor theory of
emotions", Journal of Research in Personality 11, 1977, found for the words, as later works quote
it; of anticipation theirs for curious. The others are ours, rounded to tenths: nothing for
neutral, between nothing and joy for calm and trust; for positive and negative the mean of the
classes that are only that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from jack_stream.errors import ConfigError
from jack_stream.models.labels import EKMAN_6, EMOTION_GAIT, VIDEO_EMOTION_8

__all__ = ["SCHEMES", "VALENCE", "Scheme", "mapping", "valence_of"]

Scheme: TypeAlias = Literal["eight", "six", "four", "sentiment", "valence"]
_Row: TypeAlias = Mapping[str, Fraction]

SCHEMES: Final[Mapping[Scheme, tuple[str, ...]]] = {
    "eight": VIDEO_EMOTION_8,
    "six": EKMAN_6,
    "four": EMOTION_GAIT,
    "sentiment": ("negative", "neutral", "positive"),
    "valence": ("negative", "positive"),
}
"""Scheme -> its classes. Of ``valence``, the difference of both is the valence."""

VALENCE: Final[Mapping[str, float]] = {
    "anger": -0.51,
    "disgust": -0.60,
    "fear": -0.64,
    "joy": 0.81,
    "sadness": -0.63,
    "surprise": 0.40,
    "boredom": -0.65,
    "anticipation": 0.22,
    "trust": 0.4,
    "calm": 0.4,
    "neutral": 0.0,
    "positive": 0.6,
    "negative": -0.6,
}
"""Class -> how pleasant it is, -1 to 1."""

_SAME: Final[Mapping[str, str]] = {
    "happy": "joy",
    "happiness": "joy",
    "sad": "sadness",
    "angry": "anger",
    "fearful": "fear",
    "afraid": "fear",
    "disgusted": "disgust",
    "surprised": "surprise",
    "bored": "boredom",
}
"""Other words for the classes of ``VALENCE``."""

_ALL: Final = "*"
_H, _Q = Fraction(1, 2), Fraction(1, 4)
_SPREAD: Final[Mapping[Scheme, Mapping[str, _Row]]] = {
    "eight": {
        "calm": {"joy": _H, "trust": _H},
        "boredom": {"sadness": _H, "disgust": _H},
    },
    "six": {
        "anticipation": {"joy": _H, "fear": _Q, "surprise": _Q},
        "trust": {"joy": Fraction(1)},
        "calm": {"joy": _H, _ALL: _H},
        "boredom": {"sadness": _H, "disgust": _H},
    },
    "four": {
        "anticipation": {"joy": _H, "neutral": _H},
        "trust": {"joy": _H, "neutral": _H},
        "calm": {"joy": _Q, "neutral": 3 * _Q},
        "boredom": {"sadness": _H, "neutral": _H},
        "fear": {"sadness": _H, "anger": _H},
        "disgust": {"sadness": _H, "anger": _H},
    },
    "sentiment": {
        "anger": {"negative": Fraction(1)},
        "disgust": {"negative": Fraction(1)},
        "fear": {"negative": Fraction(1)},
        "sadness": {"negative": Fraction(1)},
        "joy": {"positive": Fraction(1)},
        "trust": {"positive": Fraction(1)},
        "anticipation": {"positive": _H, "neutral": _H},
        "calm": {"positive": _H, "neutral": _H},
        "boredom": {"negative": _H, "neutral": _H},
    },
}
"""Scheme -> class that it lacks -> where it goes. What stands nowhere goes to all alike."""


def mapping(labels: Sequence[str], scheme: Scheme) -> NDArray[np.float64]:
    """How classes are said in a scheme.

    Args:
        labels: the classes, ``L`` of them.
        scheme: the scheme, with ``K`` classes.

    Returns:
        float64 ``[L, K]``, not negative; each row adds up to 1.

    Raises:
        ConfigError: a class is none that is known.
    """
    return np.array([_row(_known(label), scheme) for label in labels])


def valence_of(labels: Sequence[str]) -> NDArray[np.float64]:
    """How pleasant classes are, -1 to 1: float64 ``[L]``.

    Raises:
        ConfigError: a class is none that is known.
    """
    return np.array([VALENCE[_known(label)] for label in labels])


def _known(label: str) -> str:
    word = label.lower()
    name = _SAME.get(word, word)
    if name not in VALENCE:
        raise ConfigError(
            f"the class {label!r} can't be said in another scheme",
            hint=f"Known are {', '.join(sorted({*VALENCE, *_SAME}))}."
            " Give the method the weight 0 in [streams.fusion], or name its classes in its card.",
        )
    return name


def _row(name: str, scheme: Scheme) -> list[float]:
    if scheme == "valence":
        return [(1 - VALENCE[name]) / 2, (1 + VALENCE[name]) / 2]
    classes = [_known(label) for label in SCHEMES[scheme]]
    if name in classes:
        return [float(one == name) for one in classes]
    if name in {"positive", "negative"}:
        return _divided(name, scheme)
    row = _SPREAD[scheme].get(name, {_ALL: Fraction(1)})
    even = row.get(_ALL, Fraction(0)) / len(classes)
    return [float(row.get(one, Fraction(0)) + even) for one in classes]


def _divided(sentiment: str, scheme: Scheme) -> list[float]:
    """A sentiment's classes by Bayes' rule: as much of each as it has of the sentiment."""
    column = SCHEMES["sentiment"].index(sentiment)
    shares = mapping(SCHEMES[scheme], "sentiment")[:, column]
    return [float(share) for share in shares / shares.sum()]
