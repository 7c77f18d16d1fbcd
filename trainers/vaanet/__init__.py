"""VAANet, the emotion of a video from picture and sound (AAAI 2020): recipe, training, test."""
