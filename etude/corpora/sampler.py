"""The built-in sampler: public-domain pieces from the 14th to the 19th century, shipped inside the package.

One Parquet file, a row a piece: the facts below and the Score as the list columns of ``music.table``. Chorales,
madrigals, mass movements, motets and songs, string quartets, harp and fiddle tunes; their notes as printed:
ties joined, repeats played once, no grace notes, no fermatas, 48 ticks a quarter. ``docs/sampler.md`` says where
every group of pieces comes from; ``scripts/make_sampler.py`` makes the file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from etude.errors import CorpusError
from etude.music.score import Score
from etude.music.table import SCORE_SCHEMA, scores_from_arrow

SOURCE = "the scores that the music21 package carries (https://www.music21.org), see docs/sampler.md"
LICENCE = "public domain"
CITATION = "Etude sampler, version 1: note data of public-domain works, after encodings distributed with music21."
CHECKSUM = "a3a77905e48f98d56754e05a91bf0ed55e678a6219b815c59ade5ab3dc05e777"
"""SHA-256 of the file, 64 hex digits."""

SPLITS = ("train", "valid", "test")
FACTS = ("id", "title", "composer", "genre", "group", "split", "path", "provenance", "licence")
_ROWS_AT_ONCE = 128


@dataclass(frozen=True)
class PieceFacts:
    """What is known about a piece, all of it text."""

    id: str
    """The score's ``content_digest``."""
    title: str
    composer: str
    """``Traditional`` and ``Anonymous`` where nobody knows."""
    genre: str
    group: str
    """Family: settings of one melody, movements of one work, variants of one tune; never in two splits."""
    split: str
    """``train``, ``valid`` or ``test``."""
    path: str
    """File in music21's corpus, with ``#number`` in a book of tunes."""
    provenance: str
    licence: str

    @property
    def labels(self) -> dict[str, str]:
        """What a prepared corpus keeps as ``label_*`` columns."""
        return {"title": self.title, "composer": self.composer, "genre": self.genre}

    @property
    def source(self) -> str:
        """The provenance, by the name that a prepared corpus has for it."""
        return self.provenance


@dataclass(frozen=True)
class SamplerPiece(PieceFacts):
    """A piece with its notes."""

    score: Score

    __hash__ = None


def sampler_path() -> Path:
    """Return the Parquet file: any tool that reads Parquet opens it.

    Raises:
        CorpusError: the file is missing from the installation.
    """
    path = Path(__file__).with_name("sampler.parquet")
    if not path.is_file():
        raise CorpusError(f"{path}: the built-in sampler is missing; install etude again")
    return path


def list_pieces() -> list[PieceFacts]:
    """Return the facts of every piece, in the order of the file; reads no notes.

    Example:
        >>> sorted({piece.composer for piece in list_pieces() if piece.genre == "madrigal"})
        ['Claudio Monteverdi', 'Vicente Lusitano']
    """
    columns = pq.read_table(sampler_path(), columns=list(FACTS)).to_pydict()
    return [PieceFacts(*row) for row in zip(*(columns[name] for name in FACTS), strict=True)]


def iter_pieces(split: str | None = None, *, genres: Sequence[str] | None = None) -> Iterator[SamplerPiece]:
    """Yield pieces with their scores, in the order of the file, some rows in memory at a time.

    Args:
        split: ``train``, ``valid`` or ``test``; all when None.
        genres: only these; all when None.

    Raises:
        CorpusError: no such split or genre.

    Example:
        >>> piece = next(iter_pieces("test", genres=["chorale"]))
        >>> piece.composer, piece.score.ppq, [track.name for track in piece.score.tracks]
        ('Johann Sebastian Bach', 48, ['Soprano', 'Alto', 'Tenor', 'Bass'])
    """
    if split is not None and split not in SPLITS:
        raise CorpusError(f"sampler: split = {split!r}: expected one of {', '.join(SPLITS)}")
    known = {piece.genre for piece in list_pieces()} if genres is not None else set()
    for genre in genres or ():
        if genre not in known:
            raise CorpusError(f"sampler: genre = {genre!r}: expected some of {', '.join(sorted(known))}")
    return _pieces(split, genres)


def _pieces(split: str | None, genres: Sequence[str] | None) -> Iterator[SamplerPiece]:
    for batch in pq.ParquetFile(sampler_path()).iter_batches(_ROWS_AT_ONCE):
        columns = batch.select(FACTS).to_pydict()
        facts = zip(*(columns[name] for name in FACTS), strict=True)
        for row, score in zip(facts, scores_from_arrow(batch.select(SCORE_SCHEMA.names)), strict=True):
            piece = SamplerPiece(*row, score)
            if split in (None, piece.split) and (genres is None or piece.genre in genres):
                yield piece
