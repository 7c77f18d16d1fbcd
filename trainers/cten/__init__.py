"""CTEN, the emotion of a video by cross-modal erasing (CVPR 2023): recipe, training, test."""
