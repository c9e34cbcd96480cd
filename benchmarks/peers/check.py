"""Checks the peers: losses fall, and the tuned trainer follows the plain one to 1e-4. Exit status 1 otherwise.

Losses are compared step by step; of the parameters, what all steps together changed, by relative norm.
"""

import sys

import torch

import measure
from plain import PlainTrainer
from tuned import TunedTrainer

TOLERANCE = 1e-4
STEPS = 8
SHAPES = ((64, 1024, 512, 8), (48, 768, 300, 17), (33, 500, 128, 5))  # d_model, latents, batch, k


def difference(tuned, plain, start):
    return ((tuned - plain).norm() / (plain - start).norm()).item()


def check(architecture, selection, d_model, latents, batch, k):
    weights = measure.initial_weights(d_model, latents)
    batches = measure.synthetic_batches(2, batch, d_model)
    plain = PlainTrainer(weights, k, architecture)
    tuned = TunedTrainer(weights, k, architecture, threads=2, selection=selection)
    losses = [(plain.step(batches[i % 2]), tuned.step(batches[i % 2])) for i in range(STEPS)]
    differences = {"loss": max(abs(a - b) / a for a, b in losses),
                   "W_enc": difference(tuned.W_enc, plain.W_enc.data.t(), weights),
                   "W_dec": difference(tuned.W_dec, plain.W_dec.data, weights),
                   "b_dec": difference(tuned.b_dec, plain.b_dec.data, 0.0)}
    if architecture == "batchtopk":
        differences["threshold"] = abs(tuned.threshold - plain.threshold) / plain.threshold
    falls = losses[-1][0] < losses[1][0] and losses[-2][0] < losses[0][0]
    agrees = max(differences.values()) <= TOLERANCE
    print(f"{'ok  ' if falls and agrees else 'FAIL'} {architecture} by {selection} d_model={d_model} latents={latents} batch={batch} k={k}: "
          f"loss {losses[0][0]:.4f} -> {losses[-1][0]:.4f}, differences "
          + ", ".join(f"{name} {value:.1e}" for name, value in differences.items()))
    return falls and agrees


def main():
    torch.set_num_threads(2)
    results = [check(architecture, selection, *shape) for architecture in ("topk", "batchtopk")
               for selection in ("torch", "prefilter") for shape in SHAPES]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
