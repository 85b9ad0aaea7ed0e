"""Players: a piano roll with sound, to be listened to on a page or in a notebook, without a network.

With a WAV the player plays that; without, the page makes the sound itself with a small synthesiser. Without
JavaScript the roll is a still picture and an embedded WAV has the browser's own controls.
"""

import base64
from pathlib import Path

from etude.errors import MidiError
from etude.music.score import Score
from etude.pages.picture import roll_svg
from etude.pages.roll import Roll, legend
from etude.pages.text import Html, markup, scripts, styles

SCRIPTS = ("roll.js", "synth.js", "player.js")
"""What a document with players needs, in this order, after the last of them."""


def player_html(
    score: Score,
    *,
    title: str,
    wav: bytes | Path | str | None = None,
    midi: bytes | None = None,
    name: str = "",
    note: str = "",
) -> Html:
    """Return a piano roll with its player; the document must hold ``styles()`` and ``scripts(*SCRIPTS)``.

    Args:
        score: what the roll shows, and what is played where there is no WAV.
        title: what people call the piece.
        wav: recorded sound, 16-bit mono for the smallest page; bytes or a path.
        midi: the bytes of the MIDI file to offer; None offers none.
        name: stem of the files that can be saved; by default made from the title.
        note: one line beside the title; by default what the roll shows.
    """
    roll = Roll(score)
    stem = markup(name or "-".join(title.lower().split()) or "score")
    links, source = [], ""
    if midi is not None:
        links.append(f'<a download="{stem}.mid" href="{_data("audio/midi", midi)}">MIDI</a>')
    if wav is not None:
        data = wav if isinstance(wav, bytes) else Path(wav).read_bytes()
        source = f' src="{_data("audio/wav", data)}"'
    about = f'<span class="etude-about">{markup(note or roll.description)}</span>'
    caption = f"<strong>{markup(title)}</strong>{about}{legend(roll)}"
    said = markup(f"Piano roll: {roll.description}. Space plays, arrow keys move.")
    return Html(
        f'<figure class="etude etude-player" role="group" aria-label="{markup(title)}" '
        f'data-name="{stem}" data-roll="{roll.attribute()}"><figcaption>{caption}</figcaption>'
        f'<div class="etude-view" tabindex="0" role="group" aria-label="{said}">{roll_svg(score)}</div>'
        f'<div class="etude-bar"><span class="etude-tools">{"".join(links)}</span></div>'
        f'<audio {"controls" if source else ""} preload="metadata"{source}></audio></figure>'
    )


def score_html(score: Score, *, title: str = "Score") -> str:
    """Return what a Score shows itself as in a notebook; any number of them may stand in one.

    No file is offered where the Score does not fit into MIDI.
    """
    from etude.music.midi import midi_bytes  # pages that are given their files need no writer of files

    try:
        midi = midi_bytes(score)
    except MidiError:
        midi = None
    figure = player_html(score, title=title, midi=midi)
    alone = figure.replace('class="etude etude-player"', 'class="etude etude-player etude-alone"', 1)
    return Html(styles() + alone + scripts(*SCRIPTS))


def _data(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
