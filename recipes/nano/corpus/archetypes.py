"""THE table of acoustic archetypes: what each emotion and style means to nano, in numbers.

Directions for anger, fear, happiness, sadness and tenderness follow Juslin & Laukka 2003
(Psychological Bulletin 129, table 11); amounts are ours. Rows marked `ours` have no source but ear
and habit: nano learns these rules, not people's feelings. All numbers are for strength 1.
"""

from dataclasses import dataclass

JUSLIN = "Juslin & Laukka 2003"
OURS = "ours"
STRENGTHS = (1 / 3, 2 / 3, 1.0, 4 / 3)


@dataclass(frozen=True, kw_only=True)
class Archetype:
    """One row; the neutral voice is all defaults."""

    f0_st: float = 0.0
    """Shift of the mean F0, semitones."""
    f0_range: float = 1.0
    """Factor on F0 excursions about the mean, to the power of the strength."""
    slope_st: float = 0.0
    """F0 change from the first to the last word, semitones."""
    end_st: float = 0.0
    """Extra rise (+) or fall (-) over the last quarter, semitones."""
    bounce_st: float = 0.0
    """Amplitude of a 2 Hz swing of F0, semitones."""
    tremor_st: float = 0.0
    """Amplitude of a 6 Hz tremor of F0, semitones."""
    jitter_st: float = 0.0
    """Random F0 change per 12.5 ms frame, semitones."""
    length: float = 1.0
    """Factor on duration; 1 keeps source and target aligned frame by frame."""
    level_db: float = 0.0
    """Change of level, decibels."""
    dynamics: float = 1.0
    """Factor on the level contour of loud and soft syllables."""
    tilt_db: float = 0.0
    """Change of spectral slope, dB per octave."""
    breath: float = 0.0
    """Added breathiness, 0 to 1."""
    formant: float = 1.0
    """Factor on formant frequencies."""
    whisper: float = 0.0
    """1 removes the voice and lets noise speak."""
    band: float = 0.0
    """1 leaves only 250 to 3800 Hz, as an old receiver does."""
    source: str = OURS
    """Where the directions come from."""


EMOTIONS = {
    "happy": Archetype(
        f0_st=3.6,
        f0_range=1.6,
        end_st=1.5,
        level_db=2.5,
        dynamics=1.15,
        tilt_db=1.3,
        formant=1.03,
        source=JUSLIN,
    ),
    "angry": Archetype(
        f0_st=1.8,
        f0_range=1.45,
        slope_st=-1.5,
        jitter_st=0.18,
        length=0.9,
        level_db=6.0,
        dynamics=1.35,
        tilt_db=2.8,
        formant=0.97,
        source=JUSLIN,
    ),
    "sad": Archetype(
        f0_st=-2.6,
        f0_range=0.5,
        slope_st=-1.8,
        length=1.14,
        level_db=-5.0,
        dynamics=0.85,
        tilt_db=-2.4,
        breath=0.3,
        formant=0.98,
        source=JUSLIN,
    ),
    "fear": Archetype(
        f0_st=4.2,
        f0_range=0.6,
        slope_st=1.5,
        tremor_st=0.7,
        jitter_st=0.25,
        length=0.92,
        level_db=-3.0,
        dynamics=1.2,
        tilt_db=-0.8,
        breath=0.35,
        source=JUSLIN,
    ),
    "surprised": Archetype(
        f0_st=4.6,
        f0_range=1.9,
        slope_st=2.5,
        end_st=4.5,
        level_db=3.5,
        dynamics=1.2,
        tilt_db=0.8,
    ),
    "excited": Archetype(
        f0_st=4.2,
        f0_range=1.75,
        length=0.88,
        level_db=5.0,
        dynamics=1.25,
        tilt_db=1.9,
        formant=1.02,
    ),
    "depressed": Archetype(
        f0_st=-4.0,
        f0_range=0.25,
        slope_st=-1.2,
        length=1.22,
        level_db=-7.0,
        dynamics=0.7,
        tilt_db=-3.2,
        breath=0.4,
    ),
    "humour": Archetype(
        f0_st=1.6,
        f0_range=1.5,
        bounce_st=2.2,
        end_st=2.0,
        level_db=1.0,
        dynamics=1.2,
        tilt_db=0.6,
        formant=1.05,
    ),
    "confusion": Archetype(
        f0_st=0.8,
        f0_range=1.1,
        slope_st=2.0,
        end_st=6.0,
        length=1.08,
        level_db=-1.5,
        dynamics=0.9,
        tilt_db=-0.4,
    ),
    "disgusted": Archetype(
        f0_st=-1.8,
        f0_range=1.2,
        slope_st=-4.0,
        end_st=-2.0,
        jitter_st=0.3,
        length=1.08,
        level_db=0.5,
        dynamics=1.2,
        tilt_db=-0.6,
        formant=0.93,
    ),
    "empathy": Archetype(
        f0_st=-0.8,
        f0_range=0.8,
        slope_st=-0.8,
        length=1.08,
        level_db=-3.0,
        dynamics=0.8,
        tilt_db=-1.3,
        breath=0.35,
        source=JUSLIN,  # their tenderness
    ),
    "embarrass": Archetype(
        f0_st=1.8,
        f0_range=0.55,
        end_st=1.5,
        jitter_st=0.12,
        length=1.06,
        level_db=-6.0,
        dynamics=0.75,
        tilt_db=-1.6,
        breath=0.4,
    ),
    "coldness": Archetype(
        f0_st=-1.0,
        f0_range=0.2,
        level_db=-0.5,
        dynamics=0.6,
        tilt_db=0.9,
    ),
    "admiration": Archetype(
        f0_st=2.0,
        f0_range=1.4,
        slope_st=-2.5,
        end_st=-1.5,
        length=1.06,
        level_db=0.5,
        tilt_db=-0.5,
        breath=0.25,
        formant=1.01,
    ),
}
STYLES = {
    "serious": Archetype(f0_st=-1.8, f0_range=0.6, slope_st=-1.0, level_db=1.0, tilt_db=0.4),
    "child": Archetype(f0_st=5.0, f0_range=1.25, bounce_st=0.5, formant=1.17, tilt_db=0.5),
    "older": Archetype(
        f0_st=-1.5,
        f0_range=0.85,
        tremor_st=0.5,
        jitter_st=0.45,
        length=1.12,
        level_db=-1.0,
        tilt_db=-0.8,
        breath=0.3,
        formant=0.95,
    ),
    "girl": Archetype(f0_st=4.0, f0_range=1.35, end_st=1.0, formant=1.10, tilt_db=0.6, breath=0.1),
    "sweet": Archetype(
        f0_st=2.4, f0_range=1.2, end_st=1.2, level_db=-1.5, tilt_db=-0.6, breath=0.25, formant=1.06
    ),
    "gentle": Archetype(
        f0_st=0.4,
        f0_range=0.75,
        level_db=-4.0,
        dynamics=0.75,
        tilt_db=-1.5,
        breath=0.3,
        source=JUSLIN,
    ),
    "recite": Archetype(
        f0_st=0.5, f0_range=1.35, bounce_st=0.8, length=1.18, level_db=1.5, dynamics=1.2
    ),
    "whisper": Archetype(whisper=1.0, level_db=-4.0, dynamics=0.85, formant=1.03),
    "warm": Archetype(
        f0_st=-1.2,
        f0_range=0.95,
        level_db=-1.0,
        tilt_db=-1.9,
        breath=0.2,
        formant=0.98,
        source=JUSLIN,
    ),
    "shy": Archetype(
        f0_st=1.4,
        f0_range=0.5,
        end_st=1.0,
        level_db=-7.0,
        dynamics=0.7,
        tilt_db=-1.9,
        breath=0.45,
        formant=1.02,
    ),
    "comfort": Archetype(
        f0_st=-1.0,
        f0_range=0.7,
        slope_st=-1.0,
        length=1.12,
        level_db=-4.0,
        dynamics=0.75,
        tilt_db=-1.6,
        breath=0.3,
        source=JUSLIN,
    ),
    "authority": Archetype(
        f0_st=-2.6,
        f0_range=0.9,
        slope_st=-2.0,
        level_db=4.0,
        dynamics=1.2,
        tilt_db=1.2,
        formant=0.94,
    ),
    "chat": Archetype(f0_st=0.8, f0_range=1.2, bounce_st=0.6, length=0.92, dynamics=1.05),
    "radio": Archetype(f0_range=1.05, level_db=1.5, dynamics=0.5, band=1.0),
    "news": Archetype(
        f0_st=0.6, f0_range=1.1, slope_st=-3.0, length=0.94, level_db=2.0, dynamics=0.7, tilt_db=1.2
    ),
    "story": Archetype(
        f0_st=-0.3,
        f0_range=1.45,
        bounce_st=1.2,
        length=1.1,
        dynamics=1.25,
        tilt_db=-0.4,
        breath=0.12,
    ),
    "vivid": Archetype(
        f0_st=1.6, f0_range=1.8, bounce_st=1.0, level_db=2.0, dynamics=1.35, tilt_db=0.8
    ),
    "murmur": Archetype(
        f0_st=-1.8, f0_range=0.35, level_db=-9.0, dynamics=0.6, tilt_db=-3.6, breath=0.3
    ),
    "shout": Archetype(
        f0_st=5.5,
        f0_range=1.25,
        level_db=8.0,
        dynamics=0.8,
        tilt_db=3.2,
        formant=1.05,
        jitter_st=0.1,
    ),
    "deeply": Archetype(f0_st=-4.0, f0_range=0.9, formant=0.91, tilt_db=-0.6),
    "loudly": Archetype(f0_st=1.8, f0_range=1.1, level_db=8.0, dynamics=0.95, tilt_db=1.8),
    "exaggerated": Archetype(
        f0_st=2.0, f0_range=2.2, bounce_st=2.0, level_db=2.5, dynamics=1.6, length=1.1, tilt_db=0.7
    ),
    "roar": Archetype(
        f0_st=2.6,
        f0_range=1.1,
        jitter_st=0.9,
        level_db=9.0,
        dynamics=0.75,
        tilt_db=3.0,
        breath=0.15,
        formant=0.9,
    ),
}
SPEEDS = {"faster": 0.80, "more faster": 0.65, "slower": 1.25, "more slower": 1.5}
"""Target length over source length."""
