"""MIDI files made byte by byte, and music to put into them."""

import numpy as np
from hypothesis import strategies as st

from etude.music.score import (
    TEXT_KINDS,
    Controls,
    KeySignatures,
    Notes,
    PitchBends,
    Score,
    Tempos,
    Texts,
    TimeSignatures,
    Track,
)

END = b"\x00\xff\x2f\x00"


def number(value):
    """A number of variable length."""
    out = bytes([value & 0x7F])
    while value := value >> 7:
        out = bytes([value & 0x7F | 0x80]) + out
    return out


def midi_file(*tracks, format=1, division=480, end=END):
    head = b"MThd" + b"".join(
        part.to_bytes(size, "big") for part, size in ((6, 4), (format, 2), (len(tracks), 2), (division & 0xFFFF, 2))
    )
    return head + b"".join(b"MTrk" + len(track + end).to_bytes(4, "big") + track + end for track in tracks)


def note(wait, pitch, duration, velocity=64, channel=0):
    begin = number(wait) + bytes([0x90 | channel, pitch, velocity])
    return begin + number(duration) + bytes([0x80 | channel, pitch, 0])


def control(wait, number_, value, channel=0):
    return number(wait) + bytes([0xB0 | channel, number_, value])


def program(wait, value, channel=0):
    return number(wait) + bytes([0xC0 | channel, value])


def meta(wait, kind, payload=b""):
    return number(wait) + bytes([0xFF, kind]) + number(len(payload)) + payload


def tempo(wait, us_per_quarter):
    return meta(wait, 0x51, us_per_quarter.to_bytes(3, "big"))


# ---- what hypothesis draws ----------------------------------------------------------------------------

_waits = st.one_of(st.integers(0, 3), st.integers(0, 2000), st.sampled_from([127, 128, 16383, 16384, 300_000]))
_texts = st.text(max_size=12).filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text))


@st.composite
def event_tracks(draw):
    """Lists of (wait, status, data) events as they stand in a track, running status to be chosen."""
    channel = st.sampled_from([0, 0, 0, 1, 9])
    data = st.sampled_from([0, 1, 60, 60, 60, 61, 64, 127])
    status = st.sampled_from([0x90, 0x90, 0x90, 0x80, 0x80, 0xB0, 0xE0, 0xA0])
    plain = st.tuples(_waits, st.builds(int.__or__, status, channel), st.tuples(data, data))
    short = st.tuples(_waits, st.builds(int.__or__, st.sampled_from([0xC0, 0xD0]), channel), st.tuples(data))
    kinds = st.sampled_from([0x01, 0x03, 0x05, 0x06, 0x51, 0x58, 0x59, 0x7F])
    payloads = st.sampled_from(
        [b"", b"la", b"\x07\xa1\x20", b"\x04\x02\x18\x08", b"\xfe\x01", b"\xff\xff\xff", bytes(200)]
    )
    others = st.tuples(_waits, st.just(0xFF), st.tuples(kinds, payloads))
    exclusive = st.tuples(
        _waits, st.sampled_from([0xF0, 0xF7]), st.tuples(st.sampled_from([b"\x7e\xf7", b"", b"\x01"]))
    )
    event = st.one_of(plain, plain, plain, plain, short, others, exclusive)
    return draw(st.lists(event, max_size=25))


def bytes_of_events(events, keep_status):
    """The track with some status bytes left out where running status allows it."""
    out, running = b"", None
    for (wait, status, data), keep in zip(events, keep_status, strict=True):
        out += number(wait)
        if status >= 0xF0:
            body = bytes([data[0]]) if status == 0xFF else b""
            out += bytes([status]) + body + number(len(data[-1])) + data[-1]
            continue
        out += (b"" if status == running and not keep else bytes([status])) + bytes(data)
        running = status
    return out


@st.composite
def scores(draw, max_notes=30, max_tracks=4):
    """Scores that MIDI can hold: notes of one pitch and track end in the order in which they begin."""
    tracks = tuple(
        draw(
            st.lists(
                st.builds(Track, st.integers(0, 127), st.booleans(), _texts),
                min_size=1,
                max_size=max_tracks,
            )
        )
    )
    which = st.integers(0, len(tracks) - 1)
    tick = st.one_of(st.integers(0, 20), st.integers(0, 100_000))
    rows = draw(
        st.lists(
            st.tuples(
                tick, st.one_of(st.just(0), st.integers(0, 2000)), st.integers(0, 127), st.integers(1, 127), which
            ),
            max_size=max_notes,
        )
    )
    onset, duration, pitch, velocity, track = np.array(rows, np.int64).reshape(-1, 5).T
    controls = draw(st.lists(st.tuples(tick, which, st.integers(0, 127), st.integers(0, 127)), max_size=12))
    bends = draw(st.lists(st.tuples(tick, which, st.integers(-8192, 8191)), max_size=6))
    tempos = draw(st.lists(st.tuples(tick, st.integers(1, 0xFFFFFF)), max_size=4))
    powers = st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128])
    times = draw(st.lists(st.tuples(tick, st.integers(1, 255), powers), max_size=3))
    keys = draw(st.lists(st.tuples(tick, st.integers(-7, 7), st.integers(0, 1)), max_size=3))
    kinds = st.sampled_from([kind for kind in TEXT_KINDS if kind != "track_name"])
    texts = draw(st.lists(st.tuples(tick, kinds, _texts, st.integers(-1, len(tracks) - 1)), max_size=5))
    return Score(
        ppq=draw(st.sampled_from([1, 96, 480, 32767])),
        notes=in_turn(Notes.of(onset_tick=onset, duration_tick=duration, pitch=pitch, velocity=velocity, track=track)),
        tracks=tracks,
        tempos=table(Tempos, tempos),
        time_signatures=table(TimeSignatures, times),
        key_signatures=table(KeySignatures, keys),
        controls=table(Controls, controls),
        pitch_bends=table(PitchBends, bends),
        texts=table(Texts, texts),
    )


def table(cls, rows):
    names = list(cls.__dataclass_fields__)
    return cls.of(**{name: [row[place] for row in rows] for place, name in enumerate(names)})


def in_turn(notes):
    """The same notes, each as long as those of its pitch and track that began before it."""
    latest, duration = {}, []
    for onset, length, pitch, track in zip(
        *(notes.columns()[name].tolist() for name in ("onset_tick", "duration_tick", "pitch", "track")), strict=True
    ):
        end = max(onset + length, latest.get((pitch, track), 0))
        latest[pitch, track] = end
        duration.append(end - onset)
    return notes.replace(duration_tick=duration)
