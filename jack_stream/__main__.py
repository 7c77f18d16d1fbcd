"""``python -m jack_stream`` is ``jack-stream``."""

from jack_stream.cli import main

main()
