"""A corpus of pieces → a corpus of segments of so many bars, which stay in the group and split of their piece."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from etude.data.build import Builder
from etude.data.corpus import Corpus, Piece
from etude.data.filters import FilterSettings
from etude.data.labels import FileLabels, Labels
from etude.data.lock import check_place, writing
from etude.data.parse import PieceReader, columns_of
from etude.data.prepare_settings import PrepareSettings
from etude.files import draft_folder, write_json
from etude.music.segments import Segment, segments

_AT_A_TIME = 64


def cut(
    corpus: Path | str,
    out: Path | str,
    *,
    bars: int = 16,
    at_random: int | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Make a corpus whose pieces are segments of the pieces of another.

    A segment is named after its piece and its bars, counted from 1, such as ``a.mid#bars=17-32``. It has the group,
    the split, the labels, the licence and the source of its piece. One that has the notes of an earlier one, as where
    music repeats, is a duplicate in the ledger.

    Args:
        corpus: what is cut.
        out: the folder to make.
        bars: bars in a segment.
        at_random: so many different stretches of each piece; None for one after the other.
        seed: of the stretches; they are a function of it and of the piece.
        force: replace a corpus that is at ``out``.
        progress: called with pieces cut and pieces in all.

    Returns:
        ``corpus, pieces, segments, duplicates, notes, hours, groups, splits, seconds``.

    Raises:
        CorpusError: not a corpus, something else at ``out``, another writer.
        EtudeError: the disk is full or not writable; what was at ``out`` is still there.
    """
    began = time.monotonic()
    opened, out = Corpus.open(corpus), Path(out).resolve()
    check_place(out, force)
    # the pieces passed the filters of their corpus, and their splits are settled
    plain = opened.info["settings"] | {"filters": FilterSettings().plain(), "given_splits": "keep"}
    settings = PrepareSettings.parse(plain)
    how = {"digest": opened.digest, "bars": bars, "at_random": at_random, "seed": seed}
    with writing(out), draft_folder(out) as draft:
        labels = Labels(tuple(opened.info["labels"]))
        builder = Builder(draft, labels=labels, settings=settings, source=None)
        try:
            for done, (piece, said) in enumerate(_pieces(opened), start=1):
                found = segments(piece.score, bars, at_random=at_random, seed=seed, index=(piece.id,))
                for first in range(0, len(found), _AT_A_TIME):
                    _add(builder, piece, said, found[first : first + _AT_A_TIME])
                if progress:
                    progress(done, len(opened))
            info = builder.finish() | {"cut_from": how}
        finally:
            builder.abandon()
        write_json(draft / "corpus.json", info)
        check_place(out, force)
    return {
        "corpus": str(out),
        "pieces": len(opened),
        "segments": info["num_pieces"],
        "duplicates": info["files"]["duplicate"],
        "notes": info["notes"],
        "hours": round(info["hours"], 4),
        **{name: info[name] for name in ("groups", "splits")},
        "seconds": round(time.monotonic() - began, 3),
    }


def _pieces(corpus: Corpus) -> Iterator[tuple[Piece, FileLabels]]:
    """Yield pieces with what their segments inherit."""
    columns = [corpus.splits[name].to_pylist() for name in ("group", "split")]
    for piece, group, split in zip(corpus.pieces(), *columns, strict=True):
        yield piece, FileLabels(dict(piece.labels), group, split, piece.licence, piece.source)


def _add(builder: Builder, piece: Piece, said: FileLabels, found: list[Segment]) -> None:
    reader = PieceReader(near_duplicates=builder.settings.near_duplicates)
    names = [f"{piece.path}#bars={part.first_bar + 1}-{part.end_bar}" for part in found]
    facts, scores = columns_of([reader.judge(part.score, None) for part in found])
    # what is known is asked for when rows are added, and no longer
    builder.labels.of = dict.fromkeys(names, said)
    builder.add(names, pa.table(facts), pa.table(scores))
