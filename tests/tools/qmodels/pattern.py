"""Inputs by a formula. Needs no more than numpy."""
import numpy as np

KIND = {"int8": np.int8, "uint8": np.uint8, "int32": np.int32, "float": np.float32}


def pattern(kind, shape, seed):
    """Bytes of a linear congruential generator, so that other languages can make the same ones: `state = seed`, then for each
    element `state = (state · 1103515245 + 12345) mod 2^31` and `byte = (state >> 16) mod 256`. Signed kinds take the byte's
    bits, floats `(byte − 128) / 32`."""
    state, out = seed, np.empty(int(np.prod(shape)), np.uint8)
    for i in range(out.size):
        state = (state * 1103515245 + 12345) % 2**31
        out[i] = (state >> 16) % 256
    out = out.reshape(shape)
    if kind == "float":
        return (out.astype(np.float32) - 128) / 32
    return out.view(KIND[kind])
