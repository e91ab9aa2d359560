"""What a GPU asks for: lengths of few different values, and attention without cuDNN.

torch 2.11 to 2.13 take cuDNN's attention first on Hopper and Blackwell. It makes a plan for every
exact shape and stride, 23 to 37 ms each, and keeps all of them; conversations and growing caches
have a new shape nearly every time. So on CUDA lengths are padded to multiples of 256, and cuDNN's
attention is off. A CPU has no such plans: there nothing is padded.
"""

import torch

MULTIPLES = {"cpu": 1, "cuda": 256}
LOOK_EVERY = {"cpu": 1, "cuda": 16}


def pad_length(length, device):
    """The length to which rows of `length` tokens are padded on a device."""
    multiple = MULTIPLES[torch.device(device).type]
    return -(-length // multiple) * multiple


def look_every(device):
    """After how many tokens decoding asks which answers have ended: a GPU must be waited for."""
    return LOOK_EVERY[torch.device(device).type]


def prepare():
    """Set what all scripts need on CUDA; called once a device is chosen."""
    torch.backends.cuda.enable_cudnn_sdp(False)
