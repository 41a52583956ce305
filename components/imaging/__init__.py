"""What the stages share about pictures: the format of datasets, decoding, loading, classifiers."""
