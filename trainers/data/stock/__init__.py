"""What is in a data set, what is missing, and what is damaged."""
