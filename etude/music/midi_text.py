"""The bytes of a text in a MIDI file to a string: no encoding is ever stated there."""


def decode_text(payload: bytes) -> str:
    """Return the text that bytes most likely hold: UTF-8, UTF-16 with a mark, Shift JIS, else Latin-1.

    Example:
        >>> decode_text("Für Elise".encode("latin-1")), decode_text("さくら".encode("shift-jis"))
        ('Für Elise', 'さくら')
    """
    try:
        return payload.decode()
    except UnicodeDecodeError:
        pass
    encodings = ["utf-16"] if payload[:2] in (b"\xff\xfe", b"\xfe\xff") else ["cp932"]
    for encoding in encodings:
        try:
            text = payload.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-16" or _looks_japanese(text):
            return text
    return payload.decode("latin-1")


def _looks_japanese(text: str) -> bool:
    """Tell whether what is not ASCII is kana or ideographs of full width."""
    foreign = [letter for letter in text if letter > "\x7f"]
    full = sum("\u3000" <= letter <= "\u9fff" or "\uff01" <= letter <= "\uff5e" for letter in foreign)
    kana = sum("\u3040" <= letter <= "\u30ff" for letter in foreign)
    return full == len(foreign) and (kana > 0 or len(foreign) > 1)
