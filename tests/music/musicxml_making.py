"""Small MusicXML files for tests."""

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<score-partwise version="4.0">'


def score(*parts, part_list=None, head=""):
    """Return a file of parts, each a list of the content of its measures."""
    ids = [f"P{number}" for number in range(1, len(parts) + 1)]
    listed = part_list or "".join(f'<score-part id="{one}"><part-name>{one}</part-name></score-part>' for one in ids)
    body = "".join(
        f'<part id="{one}">'
        + "".join(f'<measure number="{number}">{measure}</measure>' for number, measure in enumerate(measures, 1))
        + "</part>"
        for one, measures in zip(ids, parts, strict=True)
    )
    return f"{HEAD}{head}<part-list>{listed}</part-list>{body}</score-partwise>".encode()


def attributes(divisions=2, time=(4, 4), fifths=0, more=""):
    return (
        f"<attributes><divisions>{divisions}</divisions><key><fifths>{fifths}</fifths></key>"
        f"<time><beats>{time[0]}</beats><beat-type>{time[1]}</beat-type></time>{more}</attributes>"
    )


def note(name, duration, *, tie=(), chord=False, voice=1, more="", attribute=""):
    """Return a note such as ``F#4``, or a rest where the name is empty."""
    if name:
        step, octave = name[0], name[-1]
        alter = {"#": "<alter>1</alter>", "b": "<alter>-1</alter>"}.get(name[1:-1], "")
        sound = f"<pitch><step>{step}</step>{alter}<octave>{octave}</octave></pitch>"
    else:
        sound = "<rest/>"
    ties = "".join(f'<tie type="{kind}"/>' for kind in tie)
    first = "<chord/>" if chord else ""
    return f"<note{attribute}>{first}{sound}<duration>{duration}</duration>{ties}<voice>{voice}</voice>{more}</note>"


def barline(location, repeat=None, ending=None, times=None):
    inside = f'<ending number="{ending[0]}" type="{ending[1]}"/>' if ending else ""
    count = f' times="{times}"' if times else ""
    inside += f'<repeat direction="{repeat}"{count}/>' if repeat else ""
    return f'<barline location="{location}">{inside}</barline>'


def backup(duration):
    return f"<backup><duration>{duration}</duration></backup>"
