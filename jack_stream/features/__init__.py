"""Pure NumPy functions from windows of raw data to the arrays that the models take."""
