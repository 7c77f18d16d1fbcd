"""MART, the emotion of a video by masked pre-training (CVPR 2024): recipe, training, test."""
