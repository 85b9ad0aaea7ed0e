"""Sound: what a Score asks for is heard, at a sane level, the same every time."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from etude.audio.wav import read_wav
from etude.errors import EtudeError, MissingExtraError
from etude.music import render as rendering
from etude.music.render import PEAK, TAIL_SEC, render, render_wav
from etude.music.score import Controls, PitchBends, Score, Tempos, Track

needs_audio = pytest.mark.usefixtures("audio_extra")
RATE_HZ = 22_050


@pytest.fixture
def audio_extra():
    pytest.importorskip("midirenderer", reason="needs the audio extra: the synthesizer")
    if find_spec("pretty_midi") is None:
        pytest.skip("needs the audio extra: the soundfont")


def level(samples, start_sec, end_sec, rate_hz=RATE_HZ):
    """Return the root mean square of a span; what lies past the end is silence."""
    part = samples[..., round(start_sec * rate_hz) : round(end_sec * rate_hz)]
    return float(np.sqrt((part**2).sum() / ((end_sec - start_sec) * rate_hz)))


def frequency_hz(samples, start_sec, end_sec):
    part = samples[round(start_sec * RATE_HZ) : round(end_sec * RATE_HZ)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 8 * len(part)))
    return spectrum.argmax() * RATE_HZ / (8 * len(part))


def play(*columns, **rest):
    return render(Score.of(*columns, **rest), sample_rate_hz=RATE_HZ)


@needs_audio
def test_a_note_sounds_from_its_beginning_to_its_end_at_its_pitch():
    samples = play([960], [480], [69], tracks=[Track(73)])
    assert samples.dtype == np.float32
    assert level(samples, 0.0, 0.99) < 1e-4
    assert level(samples, 1.0, 1.1) > 0.05
    assert level(samples, 1.3, 1.5) > 0.1
    assert level(samples, 2.2, 3.0) < 0.01
    assert frequency_hz(samples, 1.1, 1.5) == pytest.approx(440, rel=0.005)


@needs_audio
def test_there_is_no_silence_before_a_note_at_the_start():
    samples = play([0], [480], [60])
    assert np.flatnonzero(np.abs(samples) > 0.01)[0] < 0.01 * RATE_HZ


@needs_audio
@pytest.mark.parametrize(
    ("movements", "is_held"), [([], False), ([(0, 63)], False), ([(0, 127)], True), ([(0, 64)], True)]
)
def test_the_sustain_pedal_is_heard(movements, is_held):
    """covers: star-69 (partly)"""
    tick, value = zip(*movements, strict=True) if movements else ((), ())
    controls = Controls.of(tick=tick, track=[0] * len(tick), number=[64] * len(tick), value=value)
    samples = play([0], [96], [60], controls=controls)
    assert (level(samples, 1.0, 1.5) > 0.05) == is_held
    assert (level(samples, 1.0, 1.5) < 0.005) != is_held


@needs_audio
def test_a_note_ends_when_the_pedal_comes_up():
    controls = Controls.of(tick=[0, 1920], track=[0, 0], number=[64, 64], value=[127, 0])
    samples = play([0], [96], [60], controls=controls)
    assert level(samples, 1.5, 1.9) > 20 * level(samples, 2.6, 3.0)


@needs_audio
def test_programs_drums_and_bends_are_heard():
    flute, organ, kit = (play([0], [960], [60], tracks=[track]) for track in (Track(73), Track(19), Track(0, True)))
    assert level(organ, 0.8, 1.0) > 0.1
    # pitch 60 of a kit is a bongo: over long before the note is
    assert level(kit, 0.8, 1.0) < 0.02 < level(kit, 0.0, 0.1)
    shortest = min(len(flute), len(organ))
    assert np.abs(flute[:shortest] - organ[:shortest]).max() > 0.3
    bends = (PitchBends.of(tick=[0], track=[0], value=[value]) for value in (0, 4096))
    plain, higher = (play([0], [960], [69], tracks=[Track(73)], pitch_bends=bend) for bend in bends)
    assert frequency_hz(higher, 0.3, 0.9) / frequency_hz(plain, 0.3, 0.9) == pytest.approx(2 ** (1 / 12), rel=0.01)


@needs_audio
def test_tempo_changes_are_heard():
    tempos = Tempos.of(tick=[0, 480], us_per_quarter=[500_000, 1_000_000])
    samples = play([0, 960], [10, 480], [60, 72], tempos=tempos)
    assert level(samples, 1.2, 1.49) < 0.01 < level(samples, 1.5, 1.6)


@needs_audio
@pytest.mark.parametrize("num_notes", [1, 30, 500])
@pytest.mark.parametrize("velocity", [40, 127])
def test_soft_and_loud_pieces_peak_at_the_same_level_without_clipping(num_notes, velocity):
    pitch = 30 + np.arange(num_notes) % 60
    samples = play(np.zeros(num_notes, int), np.full(num_notes, 480), pitch, np.full(num_notes, velocity))
    assert np.abs(samples).max() == pytest.approx(PEAK, abs=1e-6)
    # clipped sound would stay at its peak
    assert (np.abs(samples) > 0.999 * PEAK).sum() < 20


@needs_audio
def test_the_softest_notes_are_heard():
    samples = play([0, 960], [480, 480], [60, 64], [1, 5])
    assert level(samples, 0.0, 0.4) > 0.05
    assert level(samples, 1.0, 1.4) > 0.05


@needs_audio
def test_sound_fades_to_its_end_and_stray_events_do_not_lengthen_it():
    stray = Controls.of(tick=[480 * 1000], track=[0], number=[7], value=[100])
    samples = play([0], [480], [60], tracks=[Track(48)], controls=stray)
    assert 0.6 < len(samples) / RATE_HZ <= 0.5 + TAIL_SEC + 0.2
    assert np.abs(samples[-20:]).max() < 1e-3


@needs_audio
def test_forty_instruments_keep_their_programs_and_pedals():
    """Sixteen channels are not enough: the last track is a piano with a pedal of its own."""
    tracks = [Track(48)] * 39 + [Track(0)]
    controls = Controls.of(tick=[0], track=[39], number=[64], value=[127])
    held = play([0], [96], [60], track=[39], tracks=tracks, controls=controls)
    other = play([0], [96], [60], track=[38], tracks=tracks, controls=controls)
    assert level(held, 2.0, 2.5) > 0.01
    assert level(other, 2.0, 2.5) < 0.001


@needs_audio
def test_equal_scores_give_equal_bytes(tmp_path):
    score = Score.of([0, 240, 480], [480, 480, 480], [60, 64, 67], track=[0, 1, 2])
    seconds = [render_wav(score, tmp_path / name, sample_rate_hz=RATE_HZ) for name in ("a.wav", "b.wav")]
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    samples, rate_hz = read_wav(tmp_path / "a.wav")
    assert (samples.ndim, rate_hz) == (1, RATE_HZ)
    assert seconds == [len(samples) / RATE_HZ] * 2
    assert seconds[0] > score.duration_sec


@needs_audio
def test_stereo_has_two_channels_and_rates_one_length():
    score = Score.of([0, 0], [480, 480], [36, 96])
    mono, stereo = render(score), render(score, stereo=True)
    low = render(score, sample_rate_hz=RATE_HZ)
    assert stereo.ndim == 2
    assert len(stereo) == 2
    assert np.abs(stereo[0] - stereo[1]).max() > 0.01
    assert abs(len(mono) / 44_100 - len(low) / RATE_HZ) < 1e-3


@needs_audio
@pytest.mark.parametrize("score", [Score(480), Score.of(), Score.of(controls=Controls([9600], [0], [64], [127]))])
def test_a_piece_without_notes_is_a_moment_of_silence(score, tmp_path):
    assert 0 < render_wav(score, tmp_path / "nothing.wav") < 1
    assert not read_wav(tmp_path / "nothing.wav")[0].any()
    assert render(score, stereo=True).shape[0] == 2


@needs_audio
def test_a_damaged_or_missing_soundfont_is_one_line_with_its_path(tmp_path, capfd):
    score = Score.of([0], [480], [60])
    path, good = rendering._soundfont(None)
    (tmp_path / "words.sf2").write_text("no soundfont")
    (tmp_path / "half.sf2").write_bytes(good[: len(good) // 2])
    # sample positions that point nowhere, which the synthesizer does not check
    at = good.index(b"shdr") + 8 + 20
    records = np.frombuffer(good[at - 20 :], np.uint8)[: (len(good) - at + 20) // 46 * 46].reshape(-1, 46).copy()
    records[:, 20:36] = 255
    (tmp_path / "nowhere.sf2").write_bytes(good[: at - 20] + records.tobytes() + good[at - 20 + records.size :])
    for name in ("missing.sf2", "words.sf2", "half.sf2", "nowhere.sf2", "."):
        with pytest.raises(EtudeError) as caught:
            render(score, soundfont=tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    assert len(render(score, soundfont=path)) > 0


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "midirenderer", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'etude\[audio\]'"):
        render(Score.of([0], [480], [60]))


def test_a_missing_package_with_the_soundfont_is_named(monkeypatch):
    monkeypatch.setattr(rendering, "_synthesizer", lambda: None)
    monkeypatch.setattr(rendering, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'etude\[audio\]'"):
        render(Score.of([0], [480], [60]))


@needs_audio
def test_a_piece_of_days_is_refused():
    with pytest.raises(EtudeError, match="expected at most 7,200; cut it with edit.trim"):
        render(Score.of([0], [2**31 - 1], [60]))


@needs_audio
def test_the_package_that_carries_the_soundfont_is_not_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "pretty_midi", sys.modules.get("pretty_midi"))
    monkeypatch.delitem(sys.modules, "pretty_midi")
    play([0], [480], [60])
    assert "pretty_midi" not in sys.modules
