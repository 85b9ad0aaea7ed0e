"""Scores of some rows of a corpus, without reading the rest."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from etude.data.corpus import Corpus
from etude.errors import CorpusError
from etude.music.score import Score
from etude.music.table import SCORE_SCHEMA, scores_from_arrow

_AT_A_TIME = 64


def spread_rows(num_rows: int, most: int) -> np.ndarray:
    """Return all rows, or ``most`` of them at equal distances, rising, int64.

    Example:
        >>> spread_rows(3, 10), spread_rows(10, 5)
        (array([0, 1, 2]), array([1, 3, 5, 7, 9]))
    """
    count = min(num_rows, most)
    # the middle of each of `count` equal stretches
    return (2 * np.arange(count, dtype=np.int64) + 1) * num_rows // (2 * count) if count else np.empty(0, np.int64)


def scores_of_rows(corpus: Corpus, rows: np.ndarray) -> Iterator[tuple[int, Score]]:
    """Yield rows with their Scores; row groups that hold none of them are not read.

    Args:
        corpus: where they are.
        rows: which, rising, int64.

    Raises:
        CorpusError: a file is damaged.
    """
    first = 0
    for file in sorted(corpus.path.glob("pieces-*.parquet")):
        try:
            with pq.ParquetFile(file) as opened:
                for group in range(opened.num_row_groups):
                    end = first + opened.metadata.row_group(group).num_rows
                    wanted = rows[slice(*np.searchsorted(rows, [first, end]))]
                    if len(wanted):
                        yield from _scores_of_group(opened, group, first, wanted)
                    first = end
        except (OSError, pa.ArrowException) as error:
            what = " ".join(str(error).split())
            raise CorpusError(f"{file}: damaged ({what}); prepare the corpus again") from error


def _scores_of_group(opened: pq.ParquetFile, group: int, first: int, rows: np.ndarray) -> Iterator[tuple[int, Score]]:
    for batch in opened.iter_batches(_AT_A_TIME, row_groups=[group], columns=SCORE_SCHEMA.names):
        wanted = rows[slice(*np.searchsorted(rows, [first, first + len(batch)]))]
        if len(wanted):
            kept = batch if len(wanted) == len(batch) else batch.take(pa.array(wanted - first))
            yield from zip(wanted.tolist(), scores_from_arrow(kept), strict=True)
        first += len(batch)
