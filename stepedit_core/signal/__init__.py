"""Speed, silence, noise, whispers by signal processing: for every bundle, at the clip's own rate.

Every function takes a wave (N,) or (channels, N) float32 with its rate in Hz and returns a new one
of the same shape and rate; all channels are treated alike, so they stay together.
"""
