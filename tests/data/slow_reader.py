"""The reader of ``prepare`` that takes its time; a file of its own, for what it imports takes time too."""

import time

from etude.data.parse import PieceReader


class SlowPieceReader(PieceReader):
    """Reads what the reader of ``prepare`` reads."""

    def read(self, one):
        time.sleep(0.05)
        return super().read(one)
