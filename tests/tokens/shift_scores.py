"""Pieces and settings at random for ``tsd`` and ``midilike``: changing metres, tempos, keys, pedals, instruments."""

import numpy as np

from etude.music.midi import midi_bytes, read_midi
from etude.music.score import Controls, KeySignatures, Score, Tempos, TimeSignatures, Track

METRES = ((4, 4), (3, 4), (6, 8), (3, 8), (2, 2), (5, 4))
BANDS = (
    (Track(0), Track(7)),
    (Track(7), Track(0)),
    (Track(40), Track(3), Track(0, is_drum=True)),
    (Track(0), Track(0), Track(7), Track(0, is_drum=True)),
)


def random_piece(rng: np.random.Generator, tracks: tuple[Track, ...] = (Track(0),)) -> Score:
    """Return a piece as a file holds it: of overlapping notes of a pitch the first to begin ends first."""
    ppq = int(rng.choice([24, 96, 220, 384, 480, 1000]))
    count, quarters = int(rng.integers(1, 60)), int(rng.choice([2, 8, 40, 200]))

    def ticks(size: int, most: int) -> np.ndarray:
        tick = rng.integers(0, most * ppq + 1, size)
        return np.where(rng.random(size) < 0.5, tick, tick // ppq * ppq)

    metres = [METRES[row] for row in rng.integers(0, len(METRES), rng.integers(0, 5))]
    tempos, keys, pedals = (int(rng.integers(0, most)) for most in (5, 4, 9))
    score = Score.of(
        ticks(count, quarters),
        np.where(rng.random(count) < 0.5, rng.integers(1, 5 * ppq, count), rng.integers(1, 15 * ppq, count)),
        np.where(rng.random(count) < 0.5, rng.integers(0, 128, count), rng.integers(60, 64, count)),
        rng.integers(1, 128, count),
        rng.integers(0, len(tracks), count),
        ppq=ppq,
        tracks=tracks,
        time_signatures=TimeSignatures.of(
            tick=np.sort(ticks(len(metres), 30)),
            numerator=[upper for upper, _ in metres],
            denominator=[lower for _, lower in metres],
        ),
        tempos=Tempos.of(tick=ticks(tempos, 20), us_per_quarter=rng.integers(200_000, 1_500_000, tempos)),
        key_signatures=KeySignatures.of(
            tick=ticks(keys, 20), sharps=rng.integers(-7, 8, keys), is_minor=rng.integers(0, 2, keys)
        ),
        controls=Controls.of(
            tick=ticks(pedals, quarters),
            track=rng.integers(0, len(tracks), pedals),
            number=[64] * pedals,
            value=rng.choice([0, 63, 64, 127], pedals),
        ),
    )
    return read_midi(midi_bytes(score))


def random_settings(rng: np.random.Generator) -> dict:
    """Return settings that hold together, as plain values of ours."""

    def chance(share: float) -> bool:
        return bool(rng.random() < share)

    told: dict = {
        "use_rests": chance(0.4),
        "use_tempos": chance(0.4),
        "num_tempos": int(rng.choice([5, 22, 32])),
        "log_tempos": chance(0.5),
        "use_time_signatures": chance(0.7),
        "use_key_signatures": chance(0.3),
        "use_velocities": chance(0.9),
        "num_velocities": int(rng.choice([8, 32, 127])),
        "use_pitchdrum_tokens": chance(0.8),
        "use_sustain_pedals": chance(0.4),
        "remove_duplicated_notes": chance(0.2),
        "pitch_range": [(21, 109), (0, 127), (60, 64)][rng.integers(3)],
    }
    if chance(0.4):
        metres = [((3, 8), (6, 8), (3, 4), (4, 4), (2, 2)), ((4, 4), (3, 4), (7, 16), (6, 8)), ((3, 4), (4, 4))]
        told["time_signature_range"] = metres[rng.integers(3)]
    if chance(0.5):
        shifts = [((0, 4, 4),), ((0, 2, 12), (2, 5, 3)), ((0, 1, 16), (1, 2, 8), (2, 8, 2))]
        rests = [((0, 2, 2),), ((0, 3, 4),), ((0, 2, 8), (2, 3, 1))]
        row = int(rng.integers(3))
        told |= {"beat_res": shifts[row], "beat_res_rest": rests[row]}
    return told
