"""From messages to aligned windows: event time, watermarks, lateness."""
