"""Write the card of a corpus: what is in it, under which licences, what was left out, how it was made.

The card is README.md in the corpus, as hubs of data sets show it; a card that stands there is replaced.

Example:
    etude corpus card corpora/mine --title "My improvisations" --about about.md
    etude corpus card corpora/mine --stdout
"""

from pathlib import Path
from typing import Annotated

import typer

from etude.cli.show import progress_bar, report


def run(
    corpus: Annotated[Path, typer.Argument(help="a folder that etude prepare made")],
    title: Annotated[str, typer.Option(help="what people call it; by default the name of the folder")] = "",
    about: Annotated[
        Path | None, typer.Option(help="a file of Markdown that says what it is and where it is from")
    ] = None,
    stdout: Annotated[bool, typer.Option("--stdout", help="print the card instead of writing it")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Write the card of a corpus: README.md beside its tables."""
    from etude import __version__
    from etude.data.card import FILE, corpus_card
    from etude.data.corpus import Corpus
    from etude.data.lock import writing
    from etude.data.stats import corpus_stats
    from etude.files import write_text

    opened = Corpus.open(corpus)
    with progress_bar("measuring", total=len(opened), unit="pieces") as advance_to:
        stats = corpus_stats(opened, progress=lambda done, total: advance_to(done, total=total))
    card = corpus_card(stats, title=title, about=_text(about), version=__version__)
    if stdout:
        report({"corpus": str(opened.path.resolve()), "card": card}, as_json=as_json, lines=[card.rstrip("\n")])
        return
    path = opened.path.resolve()
    with writing(path):
        write_text(path / FILE, card)
    report({"corpus": str(path), "path": str(path / FILE)}, as_json=as_json, lines=[f"card: {path / FILE}"])


def _text(file: Path | None) -> str:
    from etude.errors import EtudeError

    if file is None:
        return ""
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise EtudeError(f"{file}: cannot be read: {error}; expected a file of Markdown in UTF-8") from error
