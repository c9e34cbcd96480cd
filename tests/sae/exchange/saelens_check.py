"""Loads exported directories with SAELens and compares its latents with those that orthant computed.

saelens_check.py (DIRECTORY FIXTURE)...: FIXTURE is a safetensors file with `activations` [rows, d_model], `latents`
[rows, latents] and `reconstruction` [rows, d_model]. Prints one JSON array, an object a pair, with the largest
differences. Exit status 77 when SAELens cannot be imported here.
"""

import json
import sys

try:
    import sae_lens
    import torch
    from safetensors.torch import load_file
except Exception as reason:  # an installed library that does not import is as good as none
    print(f"SAELens does not import: {reason}")
    sys.exit(77)


def compare(directory, fixture_path):
    fixture = load_file(fixture_path)
    dictionary = sae_lens.SAE.load_from_disk(directory)
    with torch.no_grad():
        latents = dictionary.encode(fixture["activations"])
        reconstruction = dictionary.decode(latents)
    scale = fixture["reconstruction"].abs().max()
    return {
        "version": sae_lens.__version__,
        "architecture": dictionary.cfg.architecture(),
        "orthant": dictionary.cfg.metadata.orthant,
        "active": int((latents > 0).sum()),
        "latents": (latents - fixture["latents"]).abs().max().item(),
        "reconstruction": ((reconstruction - fixture["reconstruction"]).abs().max() / scale).item(),
    }


def main(arguments):
    print(json.dumps([compare(*pair) for pair in zip(arguments[::2], arguments[1::2])]))


if __name__ == "__main__":
    main(sys.argv[1:])
