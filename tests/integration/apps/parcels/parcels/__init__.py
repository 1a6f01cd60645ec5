"""An app whose releases can be told apart, and that remembers each parcel that it was given."""

VERSION = "1"
