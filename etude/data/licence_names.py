"""Names of licences: one spelling of each, what it asks for, what hubs call it.

A licence is said as ``CC BY-NC-SA 4.0``, ``CC0 1.0``, ``MIT``, ``GPL 3.0``, ``Public domain``: names of one licence in
other words (identifiers, addresses, long titles) become that. A text that names several licences becomes all
of them, joined by ``AND``: whoever uses the file must keep them all. A text that names none stays as it is.
"""

import re

_UNKNOWN = re.compile(
    r"(unknown|unclear|none|no licen[cs]e|n/?a|not (stated|known|specified|given)|tbd|\?|-|–|various|different|mixed"
    r"|several|see|other)\b|^\W*$",
    re.IGNORECASE,
)
_GAP = r"[\s_,/–-]*"
_VERSION = rf"{_GAP}(?:version|v\.?)?{_GAP}(?P<version>\d(?:\.\d)?)?"
# some of the country codes are words in small letters, so those need a hyphen
_PORTS = "AT AU BE BR CA CH CN CZ DE DK ES FI FR GB GR HK IE IT JP KR NL NO NZ PL PT SE SG TW UK US ZA IGO"
_PORT = rf"(?:[\s-](?P<port>{'|'.join(_PORTS.split())})|-(?P<small>{'|'.join(_PORTS.lower().split())}))?\b"
_ELEMENTS = {"nc": r"nc|non[\s-]?commercial", "nd": r"nd|no[\s-]?deriv(?:ative)?s?", "sa": r"sa|share[\s-]?alike"}
_CREATIVE_COMMONS = re.compile(
    rf"(?i:\b(?:cc|creative{_GAP}commons){_GAP}(?:licen[cs]e{_GAP})?(?:by|attribution)\b"
    rf"(?P<elements>(?:{_GAP}\b(?:{'|'.join(_ELEMENTS.values())}|and)\b)*){_VERSION}){_PORT}"
)
_CREATIVE_COMMONS_ADDRESS = re.compile(
    r"(?i:creativecommons\.org/licenses/by(?P<elements>[a-z-]*)/(?P<version>\d\.\d)(?:/(?P<small>[a-z]{2})\b)?)"
)
_GPL = re.compile(
    rf"(?i:\b(?P<kind>affero|lesser|library)?\s*(?:general\s+public\s+licen[cs]e|(?P<letter>[al]?)gpl){_VERSION}"
    r"(?P<later>\+|[\s,(-]*or[\s-]+(?:\(at your option\) )?(?:any[\s-]+)?later)?)"
)
_BSD = re.compile(r"(?i:\bbsd[\s-]*(?P<after>[0-4])?(?:[\s-]*clause)?\b|\b(?P<before>[0-4])[\s-]*clause[\s-]+bsd\b)")
_APACHE = re.compile(rf"(?i:\bapache\b(?:{_GAP}(?:software\s+)?licen[cs]e)?{_VERSION})")
_PLAIN = {
    "CC0 1.0": re.compile(rf"(?i:\b(?:cc|creative{_GAP}commons){_GAP}(?:0|zero)(?![\w])|publicdomain/zero)"),
    "MIT": re.compile(r"\bMIT\b(?! Press)|(?i:^mit$|^mit licen[cs]e|\bexpat licen[cs]e)"),
    "ISC": re.compile(r"\bISC\b"),
    "MPL 2.0": re.compile(r"(?i:\bmpl\b|mozilla public licen[cs]e)"),
    "ODbL 1.0": re.compile(r"(?i:\bodbl\b|open database licen[cs]e)"),
    "ODC-By 1.0": re.compile(r"(?i:\bodc-by\b)"),
    "Unlicense": re.compile(r"(?i:\bthe unlicense\b|^unlicense\b)"),
    "All rights reserved": re.compile(r"(?i:\ball rights reserved\b)"),
}
_PUBLIC_DOMAIN = re.compile(
    r"(?i:(?<!not )(?<!not in the )(?<!not in )\bpublic[\s-]?domain\b|publicdomain/mark|\bpdm?\b$)"
)

_NOT_FOR_SALE = re.compile(
    r"(?i:\bnon[\s-]?commercial|\bno commercial|\b(?:research|study|personal|private)( use| purposes)? only\b)"
)

_HUB_NAMES = {
    "CC0 1.0": "cc0-1.0",
    "MIT": "mit",
    "ISC": "isc",
    "BSD": "bsd",
    "BSD 2-Clause": "bsd-2-clause",
    "BSD 3-Clause": "bsd-3-clause",
    "MPL 2.0": "mpl-2.0",
    "ODbL 1.0": "odbl",
    "ODC-By 1.0": "odc-by",
    "Unlicense": "unlicense",
    "Public domain": "pddl",
}


def normal_licence(text: str | None) -> str | None:
    """Return a licence in its usual spelling, or None if nobody knows it.

    Example:
        >>> normal_licence("cc-by-4.0"), normal_licence("Creative Commons Attribution 4.0 International")
        ('CC BY 4.0', 'CC BY 4.0')
        >>> normal_licence("MIT, but the clips of the second set are CC BY-NC 3.0")
        'MIT AND CC BY-NC 3.0'
        >>> normal_licence("unknown"), normal_licence("ask the band")
        (None, 'ask the band')
    """
    text = " ".join((text or "").split()).strip("`'\" ")
    if _UNKNOWN.match(text):
        return None
    if re.search(r"\S OR \S", text):
        choices = [normal_licence(part.strip("() ")) for part in text.split(" OR ")]
        return " OR ".join(dict.fromkeys(choice for choice in choices if choice)) or None
    found = _named(text.replace("_", " "))
    if not found and _PUBLIC_DOMAIN.search(text):
        found = ["Public domain"]
    if found and _NOT_FOR_SALE.search(text) and not any("-NC" in name for name in found):
        found.append("non-commercial")
    return " AND ".join(found) or text


def conditions_of(licence: str | None) -> tuple[str, ...]:
    """Return what a licence asks of those who use the file, as far as its name says so.

    Example:
        >>> conditions_of("CC BY-NC-SA 4.0")
        ('attribution', 'non-commercial', 'share-alike')
        >>> conditions_of("Public domain"), conditions_of(None)
        ((), ('permission',))
    """
    licence = normal_licence(licence)
    if licence is None or "All rights reserved" in licence:
        return ("permission",)
    asked = {
        "attribution": r"CC BY|MIT|BSD|Apache|ISC|ODbL|ODC|MPL|GPL",
        "non-commercial": r"-NC|non-commercial",
        "no derivatives": r"-ND",
        "share-alike": r"-SA|GPL|ODbL|MPL",
    }
    return tuple(condition for condition, names in asked.items() if re.search(names, licence))


def hub_name(licence: str | None) -> str:
    """Return what hubs of models and data sets call a licence in the front matter of a card.

    Example:
        >>> [hub_name(name) for name in ("CC BY-NC-SA 4.0", "Public domain", "MIT AND CC BY 4.0", None)]
        ['cc-by-nc-sa-4.0', 'pddl', 'other', 'unknown']
    """
    licence = normal_licence(licence)
    if licence is None:
        return "unknown"
    if licence in _HUB_NAMES:
        return _HUB_NAMES[licence]
    # without the country: the hubs know the international licences alone
    match = re.fullmatch(r"(CC BY[A-Z-]*|GPL|LGPL|AGPL|Apache) (\d\.\d)(?: [A-Z]{2,3}| or later)?", licence)
    return f"{match[1]}-{match[2]}".lower().replace(" ", "-") if match else "other"


def _named(text: str) -> list[str]:
    """Return the licences that a text names, in its order, each once and as exactly as it says."""
    found: list[tuple[int, str]] = []
    for pattern in (_CREATIVE_COMMONS, _CREATIVE_COMMONS_ADDRESS):
        found += [(match.start(), _creative_commons(match)) for match in pattern.finditer(text)]
    for match in _GPL.finditer(text):
        # Affero or Lesser, which was Library; in an identifier the letter alone
        letter = (match["kind"] or match["letter"] or "")[:1].upper()
        later = " or later" if match["later"] else ""
        found.append((match.start(), f"{letter}GPL{_version(match['version'])}{later}"))
    for match in _BSD.finditer(text):
        clauses = match["after"] or match["before"]
        found.append((match.start(), f"BSD {clauses}-Clause" if clauses else "BSD"))
    found += [(match.start(), f"Apache{_version(match['version'])}") for match in _APACHE.finditer(text)]
    for name, pattern in _PLAIN.items():
        found += [(match.start(), name) for match in pattern.finditer(text)]
    names = list(dict.fromkeys(name for _, name in sorted(found)))
    # a long title says less than the short name beside it: the port, or the version
    return [name for name in names if not any(other.startswith(name + " ") for other in names)]


def _creative_commons(match: re.Match) -> str:
    said = match["elements"].lower()
    kept = [name for name, words in _ELEMENTS.items() if re.search(rf"\b(?:{words})\b", said)]
    groups = match.groupdict()
    port = (groups.get("port") or groups.get("small") or "").upper()
    return "CC " + "-".join(["BY", *(name.upper() for name in kept)]) + _version(match["version"]) + f" {port}".rstrip()


def _version(number: str | None) -> str:
    return "" if not number else f" {number}" if "." in number else f" {number}.0"
