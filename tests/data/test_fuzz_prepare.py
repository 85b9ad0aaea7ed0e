"""Damaged files by the thousand through ``prepare``: all in the ledger, none with wrong notes, nothing brought down.

A short slice is a quick test; the campaign goes on for ``ETUDE_CAMPAIGN_SECONDS``, 60 by default, and its
results are kept in ``docs/campaigns.md``. Every file follows from the seed and its number, so a failure names both.
"""

import os
import shutil
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
from fuzzed_midi import fuzzed, sources
from slow_midi import Refused, read_slowly

from etude.data.corpus import Corpus
from etude.data.prepare import prepare
from etude.errors import MidiError
from etude.music.check import check_score
from etude.music.edit import transpose
from etude.music.midi_in import score_of
from etude.music.smf import Walk
from etude.music.smf_events import read_events

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
GIVEN_UP = ("the reader crashed", "the reader took more", "the reader needed more", "the reader was killed")


def strictly(data):
    """Read with the strict reader alone; return a Score or why not, and how long it took [s]."""
    began = time.perf_counter()
    try:
        score = score_of(read_events(Walk(data)))
    except MidiError as error:
        score = str(error)
    return score, time.perf_counter() - began


def tracks_and_tempos(score):
    """Return what ``read_slowly`` returns."""
    notes, rows = score.notes, []
    for number, track in enumerate(score.tracks):
        own = notes.track == number
        columns = (notes.onset_tick[own], notes.duration_tick[own], notes.pitch[own], notes.velocity[own])
        if own.any():
            rows.append((track.is_drum, track.program, sorted(zip(*(c.tolist() for c in columns), strict=True))))
    return sorted(rows), sorted(zip(score.tempos.tick.tolist(), score.tempos.us_per_quarter.tolist(), strict=True))


def slowly(data):
    try:
        rows, tempos = read_slowly(data)
    except Refused:
        return None
    return rows, tempos


def check_one(where, data, row, piece):
    """Compare one ledger row, and its piece if there is one, with the strict and the slow reader."""
    score, seconds = strictly(data)
    slow = slowly(data)
    assert row["sha256"] == sha256(data).hexdigest(), where
    if isinstance(score, str):
        assert slow is None, f"{where}: the slow reader reads it, the strict one says: {score}"
        assert (row["verdict"], row["reason"]) == ("rejected", score), where
        return "refused", seconds
    assert slow is not None, f"{where}: the slow reader refuses it"
    assert check_score(score) == [], where
    rows, tempos = tracks_and_tempos(score)
    assert rows == slow[0], f"{where}: the slow reader finds other notes"
    if slow[1]:
        assert set(tempos) <= set(slow[1]), f"{where}: the slow reader finds other tempos"
        assert {tick for tick, _ in tempos} == {tick for tick, _ in slow[1]}, where
    if row["verdict"] == "rejected":
        assert row["reason"].startswith(GIVEN_UP), f"{where}: {row['reason']}"
        return row["reason"], seconds
    if row["verdict"] == "filtered":
        # without notes, or endless: the two rules that are always on
        assert (row["rule"], len(score.notes)) == ("min_notes", 0) or row["value"] > 24, where
        return "filtered", seconds
    assert row["id"] == score.content_digest(), where
    if row["verdict"] == "accepted":
        assert piece.score == score, f"{where}: not what the strict reader reads"
    return row["verdict"], seconds


def run_round(folder, files, seed, numbers):
    """Prepare one corpus of fuzzed files and check it; return how often each verdict came, and the slowest reading."""
    midi = folder / "midi"
    midi.mkdir(parents=True)
    made = {f"{number:07d}.mid": fuzzed(files, seed, number) for number in numbers}
    for name, data in made.items():
        (midi / name).write_bytes(data)
    counts = prepare(midi, folder / "out", workers=2, file_limit_sec=20.0)
    assert counts["seen"] == len(made)
    corpus = Corpus.open(folder / "out")
    ledger = corpus.ledger.to_pylist()
    assert [row["path"] for row in ledger] == sorted(made)
    pieces = {piece.path: piece for piece in corpus.pieces()}
    seen, slowest = Counter(), 0.0
    for row in ledger:
        where = f"seed {seed}, file {row['path']}"
        assert "\n" not in (row["reason"] or ""), where
        what, seconds = check_one(where, made[row["path"]], row, pieces.get(row["path"]))
        seen[what] += 1
        slowest = max(slowest, seconds)
    return seen, slowest


def test_damaged_files_are_read_rightly_or_refused(tmp_path):
    """covers: star-11 (partly)"""
    seen, _ = run_round(tmp_path, sources(each=12), 0, range(250))
    assert seen["refused"] > 20
    assert seen["accepted"] > 20


def test_the_comparison_finds_one_wrong_note(monkeypatch):
    data = sources(each=1)[0]
    score, _ = strictly(data)
    row = {"sha256": sha256(data).hexdigest(), "verdict": "accepted", "id": score.content_digest(), "reason": None}
    piece = SimpleNamespace(score=score)
    assert check_one("here", data, row, piece)[0] == "accepted"
    with pytest.raises(AssertionError, match="not what the strict reader reads"):
        check_one("here", data, row, SimpleNamespace(score=transpose(score, 1)))
    with pytest.raises(AssertionError, match="here"):
        check_one("here", data, row | {"id": transpose(score, 1).content_digest()}, piece)
    monkeypatch.setitem(globals(), "slowly", lambda data: (tracks_and_tempos(transpose(score, 1))[0], None))
    with pytest.raises(AssertionError, match="the slow reader finds other notes"):
        check_one("here", data, row, piece)


@pytest.mark.campaign
def test_damaged_files_by_the_thousand_bring_nothing_down(tmp_path):
    """covers: star-11 (partly)"""
    files = sources(SHARED if SHARED.is_dir() else None)
    seed, done = int(os.environ.get("ETUDE_CAMPAIGN_SEED", "1")), 0
    until = time.monotonic() + float(os.environ.get("ETUDE_CAMPAIGN_SECONDS", "60"))
    seen, slowest = Counter(), 0.0
    while time.monotonic() < until:
        counts, longest = run_round(tmp_path / "round", files, seed, range(done, done + 500))
        shutil.rmtree(tmp_path / "round")
        done += 500
        seen += counts
        slowest = max(slowest, longest)
    print(f"{done} files made of {len(files)}, seed {seed}: {dict(seen)}; the slowest took {1000 * slowest:.0f} ms")
    assert seen.total() == done
