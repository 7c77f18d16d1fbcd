"""The methods as Jittor modules, and the registry that makes them from a name or a bundle."""

from jack_stream.models.registry import METHODS, Method, Model, create, load, methods, untrained

__all__ = ["METHODS", "Method", "Model", "create", "load", "methods", "untrained"]
