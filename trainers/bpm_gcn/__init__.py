"""BPM-GCN, the gait network (IEEE TAFFC 2024): its recipe, training and tests."""
