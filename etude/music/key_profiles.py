"""How well each pitch class is heard to fit a major and a minor key, in hundredths of a rating from 1 to 7.

The tonic comes first. Whole numbers, so that sums can be compared exactly.

Source: Krumhansl and Kessler (1982), "Tracing the dynamic changes in perceived tonal organization in a spatial
representation of musical keys"; also in Krumhansl, "Cognitive Foundations of Musical Pitch" (1990), chapter 2.
"""

MAJOR = (635, 223, 348, 233, 438, 409, 252, 519, 239, 366, 229, 288)
MINOR = (633, 268, 352, 538, 260, 353, 254, 475, 398, 269, 334, 317)
