"""What events and alerts say. Fields are only ever added within a schema version."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from jack_stream.errors import WireError

__all__ = [
    "SCHEMA_VERSION",
    "Alert",
    "AnyEvent",
    "Event",
    "EventSegment",
    "EventWindow",
    "Ingredient",
    "Latency",
    "ModelInfo",
    "Position",
    "decode",
    "encode",
    "topic_of",
]

SCHEMA_VERSION: Final = 1


class EventWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The stretch of the stream that an event speaks of.

    Attributes:
        index: number of the window on the stream's grid.
        start_ns: first instant, nanoseconds since the Unix epoch.
        end_ns: first instant after it.
        start_s: seconds from media time zero for files; equals ``start_ns`` in seconds for devices.
        end_s: likewise.
    """

    index: int
    start_ns: int
    end_ns: int
    start_s: float
    end_s: float


class EventSegment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch within the window where a class stands out.

    Attributes:
        label: the class.
        score: how much it stands out from its surroundings; to rank by, not a probability.
        start_ns: first instant, nanoseconds since the Unix epoch.
        end_ns: first instant after it.
        start_s: as ``EventWindow.start_s``.
        end_s: likewise.
    """

    label: str
    score: float
    start_ns: int
    end_ns: int
    start_s: float
    end_s: float


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time between capture and publication went, in milliseconds.

    For a live stream they add up to the time from the capture of the newest sample in the
    window to the publication of the event.

    Attributes:
        capture_to_window_ms: from the capture of the newest sample until the window was complete.
        queue_ms: until the model was free for it.
        batch_ms: until the windows that it was answered with had come, too; mostly 0.
        inference_ms: preparation and model.
        publish_ms: until the event was handed to its socket.
    """

    capture_to_window_ms: float
    queue_ms: float
    inference_ms: float
    publish_ms: float
    batch_ms: float = 0.0

    @property
    def total_ms(self) -> float:
        """The sum of all stages."""
        before_ms = self.capture_to_window_ms + self.queue_ms + self.batch_ms
        return before_ms + self.inference_ms + self.publish_ms


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Who made the prediction.

    Attributes:
        method: a name that ``jack-stream models`` lists.
        bundle: SHA-256 of the weights, or ``untrained``.
        trained: False for weights of chance: the numbers are noise and must be shown as such.
    """

    method: str
    bundle: str
    trained: bool


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where an event stands in the journal.

    Attributes:
        journal: the journal's random name.
        number: counts all events of the journal from 1 without gaps.
        previous: the number of the same stream's event before, 0 for its first.
    """

    journal: str
    number: int
    previous: int


class Ingredient(msgspec.Struct, frozen=True, kw_only=True):
    """One event of those that a fused event was made from.

    Attributes:
        method: who said it.
        seq: the event's number.
        person: as in the event; None for what was said of the scene.
        weight: its share, 0 to 1; those of all ingredients add up to 1.
        age_ms: from the end of its window to the end of the fused event's.
        probabilities: what it says, in the fused event's classes; they add up to 1.
    """

    method: str
    seq: int
    person: int | None = None
    weight: float
    age_ms: float
    probabilities: dict[str, float]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag="emotion", tag_field="type"):
    """One prediction for one window, and one person where the method tells people apart.

    Attributes:
        v: schema version.
        stream: name of the stream.
        seq: counts the events of this stream, method and session from 0 without gaps.
        session: a random name of the inference process's run; a new one starts ``seq`` again.
        person: number of the person, None where the method speaks of the whole scene.
        window: when.
        label: the class with the highest probability; ``uncertain`` below the bundle's threshold.
        confidence: that probability, 0 to 1.
        probabilities: class -> probability; they add up to 1.
        model: who says so.
        modalities: what the prediction was made from: ``frame``, ``audio``, ``pose``.
        degraded: what was wrong with the window; empty for a whole one.
        support: share of the window, 0 to 1, that rests on what was really seen or heard.
        segments: where in the window which class is, best first; empty but for methods that
            localise.
        attention: how much each of the window's equal stretches counted, in their order, adding up
            to 1; empty of methods without such an attention.
        ingredients: the events that a fused event was made from; empty of other methods.
        valence: of fused events, how pleasant that is, -1 to 1; None of other methods.
        delay_ms: of fused events, how old what they rest on was on average at the end of the
            window; None of other methods.
        published_at_ns: when the event was made.
        latency: where the time went.
        position: where it stands in the journal; None if it is in none.
        retained: whether it was sent only to say how things stood when the subscriber came.
        purpose: what the system is used for, as its configuration states it in a word.
    """

    v: int = SCHEMA_VERSION
    stream: str
    seq: int
    session: str
    person: int | None = None
    window: EventWindow
    label: str
    confidence: float
    probabilities: dict[str, float]
    model: ModelInfo
    modalities: tuple[str, ...]
    degraded: tuple[str, ...] = ()
    support: float = 1.0
    segments: tuple[EventSegment, ...] = ()
    attention: tuple[float, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    valence: float | None = None
    delay_ms: float | None = None
    published_at_ns: int
    latency: Latency
    position: Position | None = None
    retained: bool = False
    purpose: str = "not stated"


class Alert(msgspec.Struct, frozen=True, kw_only=True, tag="alert", tag_field="type"):
    """The condition of a rule has held for long enough, or holds no longer.

    Attributes:
        v: schema version.
        stream: name of the stream.
        seq: counts the alerts of this stream, rule and session from 0 without gaps.
        session: a random name of the rules' memory; it outlives restarts.
        rule: name of the rule.
        person: as in the events that it speaks of.
        state: ``began`` or ``ended``; each end follows its beginning.
        reason: ``above`` for a beginning. For an end ``below``; ``gone`` if nothing was said of the
            person, or of the scene, for too long; ``removed`` if the rule is no longer there.
        since_ns: the end of the window from which on the condition held.
        at_ns: the end of the window with which the alert began or ended; for ``gone``, when the
            last window had been over for too long.
        value: the sum of the labels' probabilities, smoothed, 0 to 1.
        labels: the classes that were summed.
        window: the newest that it rests on.
        model: who said so.
        purpose: as in the events.
        published_at_ns: when the alert was made.
        position: where it stands in the journal; None if it is in none.
        retained: whether it was sent only to say how things stood when the subscriber came.
    """

    v: int = SCHEMA_VERSION
    stream: str
    seq: int
    session: str
    rule: str
    person: int | None = None
    state: Literal["began", "ended"]
    reason: Literal["above", "below", "gone", "removed"]
    since_ns: int
    at_ns: int
    value: float
    labels: tuple[str, ...]
    window: EventWindow
    model: ModelInfo
    purpose: str = "not stated"
    published_at_ns: int
    position: Position | None = None
    retained: bool = False


AnyEvent: TypeAlias = Event | Alert

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def topic_of(event: AnyEvent) -> bytes:
    """``event.<stream>.<method>``, or ``alert.<stream>.<rule>``."""
    if isinstance(event, Alert):
        return f"alert.{event.stream}.{event.rule}".encode()
    return f"event.{event.stream}.{event.model.method}".encode()


def encode(event: AnyEvent) -> list[bytes]:
    """The topic and the JSON of an event or alert, as they are published."""
    return [topic_of(event), _encoder.encode(event)]


def decode(parts: list[bytes]) -> AnyEvent:
    """Read an event or alert as it is received.

    Raises:
        WireError: it is not an event of a version that this release knows.
    """
    if len(parts) != 2:
        raise WireError(f"an event has a topic and a JSON part, this one has {len(parts)} parts")
    try:
        event = _decoder.decode(parts[1])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"this is no event: {error}") from error
    if event.v != SCHEMA_VERSION:
        raise WireError(f"event schema version {event.v}; this release knows {SCHEMA_VERSION}")
    return event
