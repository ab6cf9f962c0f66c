"""Signal processing without learned weights: resampling, spectra, trimming, files.

Order of use for one clip: files -> trim -> resample -> mel and fbank -> the networks of models/.
"""
