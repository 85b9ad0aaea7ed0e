"""Every dataset in small: archives and tables of the true layout with made-up music, and what must be said of it.

``MINI[name]()`` gives a ``Mini``. A new dataset needs one here.
"""

import io
import json
import random
import struct
import tarfile
import zipfile
from dataclasses import dataclass, field

MXL = b"a score"


@dataclass
class Mini:
    """What a server has of a dataset, and what labels.csv must say.

    Attributes:
        files: bytes of each remote file, by its name.
        expected: (group, split, some of its labels) by path.
        torn: groups that the published split tears apart.
    """

    files: dict[str, bytes]
    expected: dict[str, tuple[str | None, str | None, dict[str, str]]]
    torn: int = 0
    layout: dict[str, bytes] = field(default_factory=dict)


def tune(number: int) -> bytes:
    """Return a MIDI file of 40 random notes."""
    rng = random.Random(number)
    events = bytearray()
    for _ in range(40):
        pitch = rng.randrange(36, 96)
        events += bytes([rng.randrange(0, 60), 0x90, pitch, rng.randrange(30, 120)])
        events += bytes([rng.randrange(10, 120), 0x80, pitch, 0])
    events += b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + b"MTrk" + struct.pack(">I", len(events)) + bytes(events)


def zipped(members: dict[str, bytes], prefix: str = "") -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(prefix + name, content)
    return data.getvalue()


def tarred(members: dict[str, bytes], prefix: str = "") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def tunes(*names: str) -> dict[str, bytes]:
    return {name: tune(hash_of(name)) for name in names}


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode(), "big") % 1_000_003


def lines(*rows: str) -> bytes:
    return ("\n".join(rows) + "\n").encode()


def maestro(version: str) -> Mini:
    header = "canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration"
    table = lines(
        header,
        "Alban Berg,Sonata Op. 1,train,2018,2018/a.midi,2018/a.wav,698.66",
        "Alban Berg,Sonata Op. 1,train,2008,2008/b.midi,2008/b.wav,700.0",
        'Joseph Haydn,"Sonata in D Major, Hob. XVI:24",validation,2009,2009/c.midi,2009/c.wav,400.0',
        'Joseph Haydn,"Sonata in D Major, Hob. XVI:24",test,2011,2011/d.midi,2011/d.wav,401.0',
        "Frédéric Chopin,Ballade No. 1,test,2011,2011/e.midi,2011/e.wav,500.5",
    )
    members = tunes("2018/a.midi", "2008/b.midi", "2009/c.midi", "2011/d.midi", "2011/e.midi")
    members |= {f"maestro-{version}.csv": table, "README": b"read", "LICENSE": b"CC"}
    sonata, haydn = "maestro:alban berg/sonata op 1", "maestro:joseph haydn/sonata in d major hob xvi 24"
    expected = {
        "2018/a.midi": (sonata, "train", {"composer": "Alban Berg", "title": "Sonata Op. 1", "year": "2018"}),
        "2008/b.midi": (sonata, "train", {"year": "2008"}),
        "2009/c.midi": (f"{haydn} [valid]", "valid", {"composer": "Joseph Haydn"}),
        "2011/d.midi": (f"{haydn} [test]", "test", {}),
        "2011/e.midi": ("maestro:frederic chopin/ballade no 1", "test", {"composer": "Frédéric Chopin"}),
    }
    archive = zipped(members, f"maestro-{version}/")
    return Mini({f"maestro-{version}-midi.zip": archive}, expected, torn=1, layout=members)


def adl_piano_midi() -> Mini:
    members = tunes("Rock/Grunge/Nirvana/Lithium.mid", "Rock/Grunge/Nirvana/Lithium 2.mid", "Jazz/Bebop/Bud/Celia.mid")
    expected = {
        "adl-piano-midi/Rock/Grunge/Nirvana/Lithium 2.mid": (
            "adl:nirvana/lithium",
            None,
            {"genre": "Rock", "subgenre": "Grunge", "artist": "Nirvana", "title": "Lithium 2"},
        ),
        "adl-piano-midi/Rock/Grunge/Nirvana/Lithium.mid": ("adl:nirvana/lithium", None, {}),
        "adl-piano-midi/Jazz/Bebop/Bud/Celia.mid": ("adl:bud/celia", None, {"genre": "Jazz"}),
    }
    return Mini({"adl-piano-midi.zip": zipped(members, "adl-piano-midi/")}, expected)


def giantmidi_piano() -> Mini:
    names = (
        "Chopin, Frédéric, Études, Op.10, g0hoN6_HDVU.mid",
        "Chopin, Frédéric, Études, Op.10, g1hoN6_HDVU.mid",
        "Nobody, N., Song, without table, abcdefghijk.mid",
    )
    columns = (
        "surname firstname music nationality birth death youtube_title youtube_id similarity piano_solo_prob "
        "audio_name audio_duration giant_midi_piano split surname_in_youtube_title"
    )
    row = ["Chopin", "Frédéric", 'Études, "Op.10"', "Polish", "1810", "unknown", 'a "title', "g0hoN6_HDVU"]
    row += ["0.9", "0.99", names[0][:-4], "1800.1", "1", "train", "1"]
    other = [*row[:7], "g1hoN6_HDVU", *row[8:13], "validation", "0"]
    table = lines("\t".join(columns.split()), "\t".join(row), "\t".join(other))
    etudes = "giantmidi:frederic chopin/etudes op 10"
    labels = {"composer": "Frédéric Chopin", "title": 'Études, "Op.10"', "birth": "1810", "nationality": "Polish"}
    expected = {
        f"midis/{names[0]}": (f"{etudes} [train]", "train", labels | {"surname_in_video_title": "yes", "death": ""}),
        f"midis/{names[1]}": (f"{etudes} [valid]", "valid", {"surname_in_video_title": "no", "video": "g1hoN6_HDVU"}),
        f"midis/{names[2]}": (
            "giantmidi:n nobody/song without table",
            None,
            {"composer": "N. Nobody", "title": "Song, without table"},
        ),
    }
    files = {"midis_v1.2.zip": zipped(tunes(*names), "midis/")}
    files["full_music_pieces_youtube_similarity_pianosoloprob_split.csv"] = table
    return Mini(files, expected, torn=1)


def aria_midi(part: str) -> Mini:
    members = tunes("data/aa/000001_0.mid", "data/aa/000001_1.mid", "data/ab/000020_0.mid", "data/ab/000021_0.mid")
    chopin = {"composer": "chopin", "opus": "10", "piece_number": "3", "genre": "classical", "performer": None}
    known = {
        "1": {"metadata": {"genre": "jazz"}, "audio_scores": {"0": 0.98, "1": 0.5}},
        "20": {"metadata": chopin, "audio_scores": {"0": 0.91}},
        "21": {"metadata": chopin | {"performer": ["a", "b"]}, "audio_scores": {"0": 0.92}},
    }
    members["metadata.json"] = json.dumps(known).encode()
    expected = {
        "data/aa/000001_0.mid": ("aria:000001", None, {"genre": "jazz", "audio_score": "0.98"}),
        "data/aa/000001_1.mid": ("aria:000001", None, {"audio_score": "0.5"}),
        "data/ab/000020_0.mid": ("aria:chopin/10/3", None, {"composer": "chopin", "performer": ""}),
        "data/ab/000021_0.mid": ("aria:chopin/10/3", None, {"performer": "a; b"}),
    }
    name = f"aria-midi-v1-{part}-ext" if part else "aria-midi-v1-ext"
    return Mini({f"{name}.tar.gz": tarred(members, f"{name}/")}, expected)


def asap() -> Mini:
    columns = "composer,title,folder,xml_score,midi_score,midi_performance,start,end"
    folders = ("Bach/Fugue/bwv_846", "Bach/Prelude/bwv_846", "Beethoven/Piano_Sonatas/11-1", "Chopin/Sonata_2/4th")
    names = ("Shi05M.mid", "KyykhynenT03.mid", "MunA09_no_repeat.mid", "Richardson_2015_03M.mid")
    rows = [
        f"{folder.split('/')[0]},{folder.split('/', 1)[1].replace('/', '_')},{folder},{folder}/xml_score.musicxml,"
        f"{folder}/midi_score.mid,{folder}/{name},0,"
        for folder, name in zip(folders, names, strict=True)
    ]
    members = tunes(*(f"{folder}/{name}" for folder, name in zip(folders, names, strict=True)))
    members |= tunes(*(f"{folder}/midi_score.mid" for folder in folders))
    members |= {"metadata.csv": lines(columns, *rows), "Bach/Fugue/bwv_846/xml_score.musicxml": b"<xml/>"}
    members["Bach/Fugue/bwv_846/Shi05M_annotations.txt"] = b"0.1\t0.1\tdb,4/4,0\n"
    shi = {"kind": "performance", "composer": "Bach", "title": "Fugue_bwv_846", "work": "Bach/bwv_846"}
    expected = {
        "Bach/Fugue/bwv_846/Shi05M.mid": ("asap:Bach/bwv_846", None, shi | {"performer": "Shi", "in_maestro": "yes"}),
        "Bach/Prelude/bwv_846/midi_score.mid": ("asap:Bach/bwv_846", None, {"kind": "score", "performer": ""}),
        "Bach/Prelude/bwv_846/KyykhynenT03.mid": ("asap:Bach/bwv_846", None, {"performer": "KyykhynenT"}),
        "Beethoven/Piano_Sonatas/11-1/midi_score.mid": ("asap:Beethoven/Piano_Sonatas/11", None, {}),
        "Chopin/Sonata_2/4th/Richardson_2015_03M.mid": ("asap:Chopin/Sonata_2", None, {"performer": "Richardson"}),
    }
    return Mini({"asap-dataset-afc815c75c42.zip": zipped(members, "asap-dataset-afc8/")}, expected, layout=members)


def atepp() -> Mini:
    columns = "artist,artist_id,track,track_duration,composer,composition_id,score_path,midi_path,youtube_links,quality"
    folder = "Alexander_Scriabin/10_Mazurkas,_Op.3"
    rows = [
        f'Glenn Gould,6,"Op.3: No.1, I",218.2,Alexander Scriabin,0,,"{folder}/No.1/00001.mid",x,high quality',
        f'Vladimir Horowitz,2,"Op.3: No.2",218.2,Alexander Scriabin,1,,"{folder}/No.2/00002.mid",x,corrupted',
        "Gone,3,Not in the archive,1.0,Alexander Scriabin,1,,A/B/99999.mid,x,",
    ]
    group = "atepp:alexander scriabin/10 mazurkas op 3"
    expected = {
        f"ATEPP-1.2/{folder}/No.1/00001.mid": (group, None, {"performer": "Glenn Gould", "quality": "high quality"}),
        f"ATEPP-1.2/{folder}/No.2/00002.mid": (group, None, {"work": "10 Mazurkas, Op.3", "composition": "1"}),
    }
    files = {"ATEPP-1.2.zip": zipped(tunes(*expected)), "ATEPP-metadata-1.2.csv": lines(columns, *rows)}
    return Mini(files, expected)


def piano_midi_de() -> Mini:
    members = tunes("midis/Beethoven/waldstein_1.mid", "midis/Beethoven/waldstein_2.mid", "midis/Albeniz/alb_esp1.mid")
    members["metadata.csv"] = lines(
        "composer,title,year,midi,duration",
        "Beethoven,Sonata_Waldstein_1,1804,midis/Beethoven/waldstein_1.mid,600.0",
        "Albeniz,Espana_Opus_165_Prelude,1890,midis/Albeniz/alb_esp1.mid,95.2",
    )
    waldstein = "piano-midi-de:Beethoven/waldstein"
    expected = {
        "midis/Beethoven/waldstein_1.mid": (waldstein, None, {"title": "Sonata_Waldstein_1", "year": "1804"}),
        "midis/Beethoven/waldstein_2.mid": (waldstein, None, {"composer": "Beethoven"}),
        "midis/Albeniz/alb_esp1.mid": ("piano-midi-de:Albeniz/alb_esp1", None, {"composer": "Albeniz"}),
    }
    return Mini({"ClassicalPianoMIDI-dataset-505aef5e7539.zip": zipped(members, "C-505a/")}, expected)


def pijama() -> Mini:
    columns = "id,artist,album,title,recording_condition,midi_filepath,mp3_filepath,split,duration_sec"
    titles = {
        ("studio", "Fats", "One, Two"): ("Cherokee", "train"),
        ("live", "Bud", "Live"): ("Cherokee - Live At Home, 1992", "test"),
        ("live", "Bud", "More"): ("Celia", "validation"),
    }
    rows, names = [], []
    for number, ((kind, artist, album), (title, split)) in enumerate(titles.items()):
        path = f"{kind}/{artist}/{album}/{title}.midi"
        rows.append(f'{number},{artist},"{album}","{title}",{kind},"data/midi/{path}",x,{split},1.0')
        names.append(f"midi_kong/{path}")
    tune_labels = {
        "performer": "Bud",
        "tune": "cherokee",
        "title": "Cherokee - Live At Home, 1992",
        "recording": "live",
    }
    expected = {
        names[0]: ("tune:cherokee [train]", "train", {"performer": "Fats", "album": "One, Two"}),
        names[1]: ("tune:cherokee [test]", "test", tune_labels),
        names[2]: ("tune:celia", "valid", {}),
    }
    return Mini({"midi_kong.zip": zipped(tunes(*names)), "pijama.csv": lines(columns, *rows)}, expected, torn=1)


def jtd() -> Mini:
    members = tunes(
        "barronk-a-1990-1/piano_midi.mid", "evansb-a-1961-2/piano_midi.mid", "evansb-b-1961-3/piano_midi.mid"
    )
    for name, pianist, track in (
        ("barronk-a-1990-1", "Kenny Barron", "Solar"),
        ("evansb-a-1961-2", "Bill Evans", "Solar"),
    ):
        players = {"pianist": pianist, "bassist": "Ray Drummond", "drummer": None}
        facts = {"track_name": track, "album_name": "A", "recording_year": "1990", "musicians": players}
        facts |= {"tempo": 297.622, "time_signature": 4, "first_downbeat": float("nan"), "pianist": pianist}
        members[f"{name}/metadata.json"] = json.dumps(facts).encode()
        members[f"{name}/beats.csv"] = b"0.1,,,\n"
    barron = {"performer": "Kenny Barron", "bassist": "Ray Drummond", "drummer": "", "year": "1990"}
    expected = {
        "barronk-a-1990-1/piano_midi.mid": ("tune:solar", None, barron | {"tempo_qpm": "297.62", "tune": "solar"}),
        "evansb-a-1961-2/piano_midi.mid": ("tune:solar", None, {"beats_in_a_bar": "4"}),
        "evansb-b-1961-3/piano_midi.mid": (None, None, {"performer": ""}),
    }
    return Mini({"jazz-trio-database-v02.zip": zipped(members, "jazz-trio-database-v02/")}, expected)


def workbook(rows: list[list[str]]) -> bytes:
    cells = "".join(
        f'<row r="{line}">'
        + "".join(
            f'<c r="{"ABCDEF"[at]}{line}" t="inlineStr"><is><t>{text}</t></is></c>' for at, text in enumerate(row)
        )
        + "</row>"
        for line, row in enumerate(rows, 1)
    )
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return zipped(
        {"xl/worksheets/sheet1.xml": f'<worksheet xmlns="{space}"><sheetData>{cells}</sheetData></worksheet>'}
    )


def pop909() -> Mini:
    header = ["song_id", "name", "artist", "modify_times", "num_beats_per_measure", "num_quavers_per_beat"]
    members = tunes("POP909/001/001.mid", "POP909/001/versions/001-v1.mid", "POP909/002/002.mid")
    members["POP909/index.xlsx"] = workbook([header, ["001", "123我爱你", "新乐尘符", "3", "2", "2"]])
    members["POP909/001/beat_midi.txt"] = b"0.1 1.0 1.0\n"
    members["data_process/pop-pickle.zip"] = b"no"
    labels = {"song": "001", "title": "123我爱你", "artist": "新乐尘符", "beats_in_a_bar": "2"}
    expected = {
        "POP909/001/001.mid": ("pop909:001", None, labels | {"version": "main"}),
        "POP909/001/versions/001-v1.mid": ("pop909:001", None, labels | {"version": "v1"}),
        "POP909/002/002.mid": ("pop909:002", None, {"title": ""}),
    }
    return Mini({"POP909-Dataset-d83e6edba687.zip": zipped(members, "POP909-Dataset-d83e/")}, expected)


def emopia() -> Mini:
    names = ("Q1_0vLPYiPN7qY_0", "Q4_0vLPYiPN7qY_1", "Q3_xgtwQGeB6_0_0", "Q2_zzzzzzzzzzz_0")
    members = tunes(*(f"midis/{name}.mid" for name in names))
    members |= {
        "label.csv": lines("ID,4Q,A,V,annotator", *(f"{name},1,1,1,D" for name in names)),
        "key_mode_tempo.csv": lines(",name,keyname,keymode,tempo", f"0,{names[0]},C,1,120"),
        "split/train_clip.csv": lines(",clip_name", f"0,{names[0]}.mid", f"1,{names[1]}.mid"),
        "split/val_clip.csv": lines(",clip_name", f"0,{names[2]}.mid"),
        "split/test_clip.csv": lines(",clip_name"),
    }
    first = {
        "quadrant": "Q1",
        "valence": "high",
        "arousal": "high",
        "song": "0vLPYiPN7qY",
        "annotator": "D",
        "key": "C",
    }
    expected = {
        f"midis/{names[0]}.mid": ("emopia:0vLPYiPN7qY", "train", first),
        f"midis/{names[1]}.mid": ("emopia:0vLPYiPN7qY", "train", {"quadrant": "Q4", "arousal": "low"}),
        f"midis/{names[2]}.mid": ("emopia:xgtwQGeB6_0", "valid", {"valence": "low"}),
        f"midis/{names[3]}.mid": ("emopia:zzzzzzzzzzz", None, {}),
    }
    return Mini({"EMOPIA_2.2.zip": zipped(members, "EMOPIA_2.2/")}, expected)


SCORES = {"TRAAA": {"aa": 0.71234, "bb": 0.8}, "TRBBB": {"bb": 0.6}, "TRCCC": {"cc": 0.9}}


def lakh_matched() -> Mini:
    names = [f"lmd_matched/{song[2]}/{song[3]}/{song[4]}/{song}/{md5}.mid" for song in SCORES for md5 in SCORES[song]]
    archive = tarred(tunes(*names))
    expected = {
        names[0]: ("lakh:TRAAA", None, {"msd_track": "TRAAA", "match_score": "0.7123"}),
        names[1]: ("lakh:TRAAA", None, {"match_score": "0.8000"}),
        names[2]: ("lakh:TRAAA", None, {"msd_track": "TRBBB"}),
        names[3]: ("lakh:TRCCC", None, {}),
    }
    return Mini({"lmd_matched.tar.gz": archive, "match_scores.json": json.dumps(SCORES).encode()}, expected)


def lakh_full() -> Mini:
    names = [f"lmd_full/{md5[0]}/{md5}.mid" for md5 in ("aa", "bb", "cc", "dd")]
    origins = {"aa": ["T/track01.mid", "Z/Zappa - Peaches.mid"], "dd": ["x/123.mid"]}
    expected = {
        names[0]: ("lakh:TRAAA", None, {"name": "Zappa - Peaches"}),
        names[1]: ("lakh:TRAAA", None, {"name": ""}),
        names[2]: ("lakh:TRCCC", None, {}),
        names[3]: (None, None, {"name": ""}),
    }
    files = {"lmd_full.tar.gz": tarred(tunes(*names)), "match_scores.json": json.dumps(SCORES).encode()}
    return Mini(files | {"md5_to_paths.json": json.dumps(origins).encode()}, expected)


def lakh_clean() -> Mini:
    names = [f"clean_midi/ABBA/{name}.mid" for name in ("Waterloo", "Waterloo.1", "Fernando")]
    expected = {
        names[0]: ("lakh:abba/waterloo", None, {"artist": "ABBA", "title": "Waterloo"}),
        names[1]: ("lakh:abba/waterloo", None, {"title": "Waterloo"}),
        names[2]: ("lakh:abba/fernando", None, {}),
    }
    return Mini({"clean_midi.tar.gz": tarred(tunes(*names))}, expected)


def groove() -> Mini:
    columns = "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,audio_filename,duration,split"
    facts = (
        ("drummer1/eval_session", "1", "funk/groove1", "138_beat_4-4", "test"),
        ("drummer5/eval_session", "1", "funk/groove1", "138_beat_4-4", "test"),
        ("drummer1/session1", "27", "jazz-funk/fast", "116_fill_3-4", "train"),
        ("drummer1/session1", "28", "jazz", "116_beat_4-4", "validation"),
    )
    names, rows = [], []
    for session, number, style, end, split in facts:
        names.append(f"{session}/{number}_{style.replace('/', '-')}_{end}.mid")
        bpm, kind, metre = end.split("_")
        drummer = session.split("/")[0]
        rows.append(
            f"{drummer},{session},{session}/{number},{style},{bpm},{kind},{metre},{names[-1]},x.wav,1.0,{split}"
        )
    members = tunes(*names) | {"info.csv": lines(columns, *rows), "LICENSE": b"CC BY"}
    first = {"drummer": "drummer1", "style": "funk/groove1", "genre": "funk", "bpm": "138", "time_signature": "4/4"}
    expected = {
        names[0]: ("groove:funk/groove1", "test", first | {"beat_type": "beat"}),
        names[1]: ("groove:funk/groove1", "test", {"drummer": "drummer5"}),
        names[2]: ("groove:drummer1/session1 [train]", "train", {"time_signature": "3/4", "genre": "jazz-funk"}),
        names[3]: ("groove:drummer1/session1 [valid]", "valid", {"genre": "jazz"}),
    }
    return Mini({"groove-v1.0.0-midionly.zip": zipped(members, "groove/")}, expected, torn=1, layout=members)


def nottingham() -> Mini:
    abc = lines(
        "X: 1", "T:A and D", "% a remark", "M:4/4", "K:A % bright", "M:6/8", "abc|", "", "X: 2", "T:Abacus", "K:G"
    )
    members = tunes("MIDI/jigs1.mid", "MIDI/jigs2.mid", "MIDI/reelsa-c7.mid", "MIDI/melody/jigs1.mid")
    members |= {"ABC_cleaned/jigs.abc": abc, "ABC_cleaned/reelsa-c.abc": lines("X:7", "T:Abacus (slow)", "K:D")}
    members |= {"ABC_original/jigs.abc": lines("X:1", "T:Wrong")}
    labels = {"genre": "jig", "book": "jigs", "title": "A and D", "metre": "4/4", "key": "A"}
    expected = {
        "MIDI/jigs1.mid": ("nottingham:a and d", None, labels),
        "MIDI/jigs2.mid": ("nottingham:abacus", None, {"title": "Abacus", "metre": ""}),
        "MIDI/reelsa-c7.mid": ("nottingham:abacus", None, {"genre": "reel", "key": "D"}),
    }
    return Mini({"nottingham-dataset-0992bb6cd864.zip": zipped(members, "nottingham-dataset-0992/")}, expected)


def nes_mdb() -> Mini:
    names = (
        "train/297_SkyKid_00_01Start.mid",
        "train/297_SkyKid_01_02Game_Over.mid",
        "valid/003_Zelda_II_00_01Title.mid",
    )
    expected = {
        f"nesmdb_midi/{names[0]}": ("nes-mdb:297_SkyKid", "train", {"game": "SkyKid", "title": "Start"}),
        f"nesmdb_midi/{names[1]}": ("nes-mdb:297_SkyKid", "train", {"title": "Game_Over"}),
        f"nesmdb_midi/{names[2]}": ("nes-mdb:003_Zelda_II", "valid", {"game": "Zelda_II"}),
    }
    return Mini({"nesmdb_midi.tar.gz": tarred(tunes(*names), "nesmdb_midi/")}, expected)


def symphonynet() -> Mini:
    names = ("beethoven_symphony_9_1_(c)cvikl.mid", "beethoven_symphony_9_4_(c)cvikl.mid", "0001.mid")
    expected = {
        f"classical/{names[0]}": ("symphonynet:beethoven symphony 9", None, {"title": "beethoven symphony 9 1"}),
        f"classical/{names[1]}": ("symphonynet:beethoven symphony 9", None, {}),
        f"classical/{names[2]}": (None, None, {"title": "0001"}),
    }
    return Mini({"SymphonyNet_Dataset.zip": zipped(tunes(*names), "classical/")}, expected)


def jsb_chorales() -> Mini:
    names = [f"JSB Chorales/{part}/{number}.mid" for number, part in enumerate(("train", "valid", "test"))]
    expected = {
        name: (None, part, {"form": "chorale"}) for name, part in zip(names, ("train", "valid", "test"), strict=True)
    }
    return Mini({"JSB Chorales.zip": zipped(tunes(*names))}, expected)


def lieder() -> Mini:
    folder = "Beach,_Amy/3_Songs,_Op.2"
    names = [
        f"scores/{folder}/1_Ariette/lc1.mxl",
        f"scores/{folder}/2_Nacht/lc2.mxl",
        "scores/Abt,_Franz/_/Süße/lc3.mxl",
    ]
    members = dict.fromkeys(names, MXL) | {name.replace(".mxl", ".mscx"): b"no" for name in names}
    members |= {
        "data/composers.tsv": lines("id\tpath\tname", "1\tBeach,_Amy\tAmy Beach"),
        "data/sets.tsv": lines("id\tpath\tname", f'1\t{folder}\t3 Songs, "Op.2"'),
        "data/scores.tsv": lines("id\tpath\tname", f"1\t{folder}/1_Ariette\tAriette"),
    }
    ariette = {"composer": "Amy Beach", "cycle": '3 Songs, "Op.2"', "title": "Ariette"}
    expected = {
        names[0]: (f"lieder:{folder}", None, ariette),
        names[1]: (f"lieder:{folder}", None, {"title": "2 Nacht"}),
        names[2]: ("lieder:Abt,_Franz/Süße", None, {"cycle": "", "composer": "Abt, Franz"}),
    }
    return Mini({"Lieder-bca122458de6.zip": zipped(members, "Lieder-bca1/")}, expected)


def string_quartets() -> Mini:
    names = [f"scores/Mayer,_Emilie/Quartet,_Op.14/sq{number}.mxl" for number in (1, 2)]
    members = dict.fromkeys(names, MXL) | {
        "data/composers.tsv": lines("id\tpath\tname", "1\tMayer,_Emilie\tEmilie Mayer"),
        "data/scores.tsv": lines("id\tpath\tname", "1\tMayer,_Emilie/Quartet,_Op.14\tQuartet, Op.14"),
    }
    group = "string-quartets:Mayer,_Emilie/Quartet,_Op.14"
    expected = {
        names[0]: (group, None, {"composer": "Emilie Mayer", "title": "Quartet, Op.14"}),
        names[1]: (group, None, {}),
    }
    return Mini({"StringQuartets-2c723a5b7b4e.zip": zipped(members, "StringQuartets-2c72/")}, expected)


MINI = {
    "maestro-v3": lambda: maestro("v3.0.0"),
    "maestro-v2": lambda: maestro("v2.0.0"),
    "adl-piano-midi": adl_piano_midi,
    "giantmidi-piano": giantmidi_piano,
    "aria-midi-unique": lambda: aria_midi("unique"),
    "aria-midi-deduped": lambda: aria_midi("deduped"),
    "aria-midi-pruned": lambda: aria_midi("pruned"),
    "aria-midi": lambda: aria_midi(""),
    "asap": asap,
    "atepp": atepp,
    "piano-midi-de": piano_midi_de,
    "pijama": pijama,
    "jtd": jtd,
    "pop909": pop909,
    "emopia": emopia,
    "lakh-matched": lakh_matched,
    "lakh-full": lakh_full,
    "lakh-clean": lakh_clean,
    "groove": groove,
    "nottingham": nottingham,
    "nes-mdb": nes_mdb,
    "symphonynet": symphonynet,
    "jsb-chorales": jsb_chorales,
    "lieder": lieder,
    "string-quartets": string_quartets,
}
