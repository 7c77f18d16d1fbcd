"""The inference process: windows in, events out."""
