"""VAANet's audio stream on voices: trained and tested by speaker."""
