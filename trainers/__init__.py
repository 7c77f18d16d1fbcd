"""Data sets, losses, metrics and recipes that make the weights that jack_stream deploys."""
