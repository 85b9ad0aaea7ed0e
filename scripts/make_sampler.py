"""Make the built-in sampler corpus from the scores that music21 carries.

    python scripts/make_sampler.py OUT.parquet

Needs ``pip install etude[scores]``. The same music21 and pyarrow give the same bytes. ``sampler_works.csv``
names every file but the fiddle and harp tunes, which name themselves; ``sampler_scores.py`` says how notes are
read, ``sampler_families.py`` what belongs together; ``docs/sampler.md`` says where each group of pieces comes
from, and what is left out and why.
"""

import csv
import re
import sys
import warnings
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import music21
import pyarrow as pa
import pyarrow.parquet as pq
from sampler_families import families, splits
from sampler_scores import Refused, read_score

from etude.files import draft
from etude.music.check import check_score
from etude.music.score import Score
from etude.music.table import scores_to_arrow

SEED = 0
LONGEST_SEC = 360.0
FEWEST_NOTES = 24
LICENCE = "public domain"

PROVENANCE = {
    "bach": "Johann Sebastian Bach (1685-1750). Encoding: chorale collection of Margaret Greentree and additions, "
    "distributed with music21 by permission.",
    "monteverdi": "Claudio Monteverdi (1567-1643), printed 1592 (book 3) and 1603 (book 4). Encoding: read by "
    "machine from a printed score, distributed with music21, no notice in the file.",
    "trecento": "Italian and French composers of about 1320-1420, from manuscripts. Encoding: after Polyphonic "
    "Music of the Fourteenth Century (1956-1991), distributed with music21, no holder named in the file.",
    "scores": "Composer dead for over 100 years. Encoding: distributed with music21, no notice in the file.",
    "sapp": "Frederic Chopin (1810-1849), printed 1832. Encoding: Craig Stuart Sapp 2005 after the Mikuli edition "
    "of 1894, distributed with music21, no notice in the file.",
    "cc0": "Composer dead for over 100 years. Encoding: Michael Scott Asato Cuthbert, released as CC0.",
    "ryan": "Traditional tune, printed in Ryan's Mammoth Collection (Boston 1883). Encoding: volunteers' ABC "
    "transcription, distributed with music21, no notice in the file.",
    "oneill": "Turlough O'Carolan (1670-1738), printed in O'Neill's Music of Ireland (Chicago 1903). Encoding: "
    "volunteers' ABC transcription, distributed with music21, no notice in the file.",
}

GENRES = {  # program of parts without a telling name; quarter notes a minute, or beats a minute of a dance
    "chorale": (52, 90),
    "mass movement": (52, 110),
    "motet": (52, 110),
    "trecento song": (52, 100),
    "madrigal": (52, 120),
    "string quartet": (40, 110),
    "keyboard": (0, 100),
    "song": (0, 80),
    "harp tune": (46, 96),
    "reel": (40, 108),
    "jig": (40, 116),
    "hornpipe": (40, 84),
    "strathspey": (40, 70),
}
MOST_TUNES = {"reel": 80, "jig": 70, "hornpipe": 60, "strathspey": 40}
MINSTREL_STAGE = re.compile(r"walk.?around|minstrel|zip|possum|virginny|wood.?pile|\bn\.\.\.|\bde\b", re.IGNORECASE)
TRADITIONAL = ("", "trad", "scotch")


@dataclass(frozen=True)
class Piece:
    """One candidate: facts, and either a score or the reason why it is left out."""

    path: str
    title: str
    composer: str
    genre: str
    group: str
    source: str
    split: str = ""
    score: Score | None = None
    refused: str = ""


def qpm_of(genre: str, numerator: int, denominator: int) -> float:
    """Return the default tempo: dances count two beats a bar of 2/4, 2/2, 4/4, and dotted quarters in x/8."""
    rate = GENRES[genre][1]
    if genre not in MOST_TUNES:
        return rate
    return rate * (1.5 if denominator == 8 else 1.0 if (numerator, denominator) in ((2, 4), (3, 4)) else 2.0)


def works() -> list[Piece]:
    """Return the pieces that ``sampler_works.csv`` names."""
    with Path(__file__).with_name("sampler_works.csv").open(encoding="utf-8", newline="") as file:
        return [Piece(**row) for row in csv.DictReader(file)]


def tunes(corpus: Path) -> list[Piece]:
    """Return the traditional dances of Ryan's collection, by what their ABC headers say, and O'Carolan's book."""
    found = [Piece("oneills1850/0626-0700.abc", "", "Turlough O'Carolan", "harp tune", "", "oneill")]
    for file in sorted(corpus.glob("ryansMammoth/*.abc")):
        header = dict(re.findall(r"^([TRC]): *(.*?)\s*$", file.read_text("utf-8", "replace"), re.MULTILINE)[::-1])
        genre = re.sub(r"^slip ?", "", header.get("R", "").lower())
        credit = header.get("C", "").lower().rstrip(".")
        title = plain_title(header.get("T", ""))
        if genre in MOST_TUNES and credit in TRADITIONAL and not MINSTREL_STAGE.search(title + file.stem):
            path = file.relative_to(corpus).as_posix()
            found.append(Piece(path, title, "Traditional", genre, f"tune-{slug(title)}", "ryan"))
    return found


def plain_title(title: str) -> str:
    """Return a tune's title without its kind, and not in capitals.

    >>> plain_title("BELLES OF O'NEILL'S STEEPLE, THE -- REEL.")
    "The Belles of O'Neill's Steeple"
    """
    title = re.sub(r"(?<=\w):(?=[\w-])", "", title.replace('"', ""))
    title = re.split(r"\s+-+\s*|\s*--+\s*|-\s", title)[0]
    title = re.sub(r"\s+(reel|jig|hornpipe|strathspey)\W*$", "", title, flags=re.IGNORECASE).strip(" .,;")
    if title.isupper():
        title = re.sub(r"[A-Z']+", lambda word: word[0].capitalize(), title)
        title = re.sub(r"\bO'[a-z]", lambda start: start[0].title(), title)
    title = re.sub(r"(?<= )(The|Of|In|On|To|And|At|A|For|With|From|Under)\b", lambda word: word[0].lower(), title)
    return re.sub(r"^(.*), the$", r"The \1", title)


def slug(text: str) -> str:
    """Return the words of a title that tell tunes apart, joined by hyphens."""
    words = re.findall(r"[a-z0-9]+", text.lower().replace("'", ""))
    return "-".join(word for word in words if word not in ("the", "favorite", "delight", "no", "a")) or "untitled"


def read(piece: Piece) -> list[Piece]:
    """Read the score of a candidate; a book of tunes gives several pieces."""
    warnings.simplefilter("ignore")  # music21 guesses aloud
    parsed = music21.converter.parse(corpus_folder() / piece.path, forceSource=True, storePickle=False)
    if not isinstance(parsed, music21.stream.Opus):
        return [with_score(piece, parsed)]
    found = []
    for tune in parsed.scores:
        facts = tune.metadata
        if "Carolan" in f"{facts.composer} {facts.title}":
            named = replace(piece, path=f"{piece.path}#{facts.number}", title=facts.title)
            found.append(with_score(replace(named, group=f"ocarolan-{slug(facts.title)}"), tune))
    return found


def with_score(piece: Piece, parsed: music21.stream.Score) -> Piece:
    """Return the piece with its score, or with the reason why it has none."""
    program = GENRES[piece.genre][0]
    try:
        score = read_score(parsed, program=program, default_qpm=lambda n, d: qpm_of(piece.genre, n, d))
    except Refused as reason:
        return replace(piece, refused=str(reason))
    if score.duration_sec > LONGEST_SEC:
        return replace(piece, refused=f"longer than {LONGEST_SEC:.0f} s")
    if len(score.notes) < FEWEST_NOTES:
        return replace(piece, refused=f"fewer than {FEWEST_NOTES} notes")
    if problems := check_score(score):
        return replace(piece, refused=f"{problems[0].code}: {problems[0].message}")
    return replace(piece, score=score)


def select(pieces: list[Piece]) -> list[Piece]:
    """Leave out equal notes, and dances beyond ``MOST_TUNES``; the seed draws which, works before dances."""
    count: dict[str, int] = defaultdict(int)
    seen: set[str] = set()
    chosen = []
    for piece in sorted(pieces, key=lambda piece: (piece.genre in MOST_TUNES, draw(piece.path))):
        digest = piece.score.content_digest() if piece.score else ""
        if piece.score and digest in seen:
            piece = replace(piece, score=None, refused="the same notes as another piece")
        elif piece.score and count[piece.genre] >= MOST_TUNES.get(piece.genre, len(pieces)):
            piece = replace(piece, score=None, refused="not drawn")
        elif piece.score:
            seen.add(digest)
            count[piece.genre] += 1
        chosen.append(piece)
    order = list(GENRES)
    return sorted(chosen, key=lambda piece: (order.index(piece.genre), piece.composer, natural(piece.path)))


def with_splits(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces with the group of their family, and their split."""
    groups = families([piece.group for piece in pieces], [piece.score for piece in pieces])
    parts = splits(groups, [piece.genre for piece in pieces], order=draw)
    return [replace(p, group=group, split=part) for p, group, part in zip(pieces, groups, parts, strict=True)]


def draw(name: str) -> str:
    """Return a number that orders names by the seed."""
    return blake2b(f"{SEED}:{name}".encode()).hexdigest()


def table_of(pieces: list[Piece]) -> pa.Table:
    """Return the corpus as a table, a row a piece."""
    facts = pa.table(
        {
            "id": [piece.score.content_digest() for piece in pieces],
            "title": [piece.title for piece in pieces],
            "composer": [piece.composer for piece in pieces],
            "genre": [piece.genre for piece in pieces],
            "group": [piece.group for piece in pieces],
            "split": [piece.split for piece in pieces],
            "path": [piece.path for piece in pieces],
            "provenance": [PROVENANCE[piece.source] for piece in pieces],
            "licence": [LICENCE] * len(pieces),
        }
    )
    scores = scores_to_arrow([piece.score for piece in pieces])
    for name in scores.schema.names:
        facts = facts.append_column(scores.schema.field(name), scores.column(name))
    return facts.replace_schema_metadata(
        {"schema": "etude-sampler", "version": "1", "music21": music21.__version__, "seed": str(SEED)}
    )


def natural(path: str) -> list:
    """Return a sorting key that counts: 2 before 10."""
    return [(0, int(word), "") if word.isdigit() else (1, 0, word) for word in re.split(r"(\d+)", path)]


def report(kept: list[Piece], left_out: list[Piece], out: Path) -> None:
    """Print what is in, what is out and why."""
    print(f"{'genre':16} {'pieces':>6} {'groups':>6} {'notes':>7} {'hours':>6}  train/valid/test")
    for genre in [*GENRES, ""]:
        rows = [piece for piece in kept if genre in ("", piece.genre)]
        parts = "/".join(str(sum(p.split == name for p in rows)) for name in ("train", "valid", "test"))
        notes, hours = sum(len(p.score.notes) for p in rows), sum(p.score.duration_sec for p in rows) / 3600
        name = genre or "all"
        print(f"{name:16} {len(rows):6} {len({p.group for p in rows}):6} {notes:7} {hours:6.2f}  {parts}")
    for name, count in sorted(Counter(p.composer for p in kept).items(), key=lambda item: (-item[1], item[0])):
        print(f"{count:6} {name}")
    for piece in left_out:
        print(f"left out: {piece.path}: {piece.refused}")
    print(f"{out}: {out.stat().st_size} bytes")


def corpus_folder() -> Path:
    """Return where music21 keeps its scores."""
    return Path(music21.common.getCorpusFilePath())


def main(out: Path) -> None:
    """Read, select, group, split and write the corpus."""
    candidates = works() + tunes(corpus_folder())
    pieces: list[Piece] = []
    with ProcessPoolExecutor(2) as pool:
        for done, found in enumerate(pool.map(read, candidates, chunksize=4), 1):
            pieces += found
            if done % 50 == 0 or done == len(candidates):
                print(f"{done} of {len(candidates)} files read", file=sys.stderr)
    chosen = select(pieces)
    kept = with_splits([piece for piece in chosen if piece.score])
    with draft(out) as temporary:
        pq.write_table(table_of(kept), temporary, compression="zstd", compression_level=19)
    report(kept, [piece for piece in chosen if piece.refused not in ("", "not drawn")], out)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
