"""Constants of the step that both trainers take: BatchTopK lineage, as orthant's presets `topk` and `batchtopk`.

Squared error averaged over rows and coordinates, no encoder bias, b_dec subtracted from the input, decoder rows set
to unit norm and freed of the parallel gradient before each AdamW update. The auxiliary loss of dead latents is left
out: no latent is dead within the few steps of a measurement.
"""

LR = 2e-4
BETAS = (0.9, 0.99)
EPSILON = 1e-8
WEIGHT_DECAY = 0.01
THRESHOLD_MEMORY = 0.99  # of the running inference threshold of BatchTopK
