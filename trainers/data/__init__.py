"""Data sets in their owners' layouts, and what is made of them for training."""
