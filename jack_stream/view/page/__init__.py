"""The live page: what the cameras see and what was read of it, in a browser."""
