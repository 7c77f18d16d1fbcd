"""Figures by which the methods are compared, in NumPy."""
