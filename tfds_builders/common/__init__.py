"""What all builders share: the record, digests, coordinates, files, the build and its checks."""
