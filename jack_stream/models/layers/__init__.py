"""The layers that every method is built from, with PyTorch's names, shapes and semantics.

They exist because Jittor's own differ in ways that would change the numbers (a biased running
variance, ``argmax`` that returns a pair) or are slow on a CPU (3D convolution, batched matmul).
"""

from __future__ import annotations

from jack_stream.models.layers.arrays import Module, amax, argmax, constant, relu, softmax, topk
from jack_stream.models.layers.convolution import Conv1d, Conv2d, Conv3d, convolve
from jack_stream.models.layers.graph import graph_attention
from jack_stream.models.layers.linear import Linear, matmul
from jack_stream.models.layers.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, Dropout
from jack_stream.models.layers.paths import ExecutionPath, path_for, plain_only, set_precision
from jack_stream.models.layers.pooling import avg_pool, max_pool, pad
from jack_stream.models.layers.weights import get_weights, set_weights

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "Dropout",
    "ExecutionPath",
    "Linear",
    "Module",
    "amax",
    "argmax",
    "avg_pool",
    "constant",
    "convolve",
    "get_weights",
    "graph_attention",
    "matmul",
    "max_pool",
    "pad",
    "path_for",
    "plain_only",
    "relu",
    "set_precision",
    "set_weights",
    "softmax",
    "topk",
]
