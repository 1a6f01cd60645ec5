"""The release model: what a release is, how it is built, proved, switched to and left."""
