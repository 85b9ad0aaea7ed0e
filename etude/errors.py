"""Errors that a user can act on. Any other exception that escapes is a bug.

Every message is one line: where, the value, what was expected, what to do.
"""


class EtudeError(Exception):
    """The root of every error that a user can cause; the command line prints it and exits with 1."""


class SettingsError(EtudeError):
    """A setting is unknown, has the wrong type, or contradicts another."""


class MidiError(EtudeError):
    """A file cannot be read as MIDI, or a Score cannot be written as MIDI."""


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
