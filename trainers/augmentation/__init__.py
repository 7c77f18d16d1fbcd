"""Changes of training samples that leave their label true, in NumPy."""
