"""Errors that a user can act on. Any other exception that escapes is a bug.

Every message is one line: where, the value, what was expected, what to do.
"""

import difflib
from collections.abc import Iterable


class EtudeError(Exception):
    """The root of every error that a user can cause; the command line prints it and exits with 1."""


class SettingsError(EtudeError):
    """A setting is unknown, has the wrong type, or contradicts another."""


class MidiError(EtudeError):
    """A file cannot be read as MIDI, or a Score cannot be written as MIDI."""


class FormatError(EtudeError):
    """A file is not what its name says: MusicXML, ABC, MidiDict or paired text cannot be read or written."""


class CorpusError(EtudeError):
    """A corpus folder is missing, damaged, of another schema version, or locked."""


class TokenError(EtudeError):
    """Ids, shards and tokenizers do not belong together."""


class ModelError(EtudeError):
    """A model folder is missing, damaged or does not fit what is asked of it."""


class RunError(EtudeError):
    """A run folder is missing, damaged, held by another process, or of other settings."""


class MissingExtraError(EtudeError):
    """An optional library is needed; the message names the extra that installs it."""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return what to say to somebody who misspelt a name: the closest one, or all of them.

    Example:
        >>> nearest("trian", ["train", "runs"])
        "did you mean 'train'?"
    """
    names = sorted(str(known) for known in names)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return "there are: " + ", ".join(names) if names else "there are none"
