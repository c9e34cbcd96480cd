"""A plain PyTorch trainer of the sparse autoencoder step: dense tensors, autograd, torch.optim."""

import torch

import lineage
import measure


class PlainTrainer:
    def __init__(self, weights, k, architecture):
        """`weights` [latents, d_model]: decoder rows and, transposed, the encoder at the start."""
        self.k = k
        self.architecture = architecture
        self.W_enc = torch.nn.Parameter(weights.t().contiguous())  # [d_model, latents]
        self.W_dec = torch.nn.Parameter(weights.clone())  # [latents, d_model]
        self.b_dec = torch.nn.Parameter(torch.zeros(weights.shape[1]))
        self.threshold = 0.0
        self.optimizer = torch.optim.AdamW([self.W_enc, self.W_dec, self.b_dec], lr=lineage.LR, betas=lineage.BETAS,
                                           eps=lineage.EPSILON, weight_decay=lineage.WEIGHT_DECAY)

    def select(self, activations):
        """All but the selected entries set to zero: k a row, or k * batch of the whole batch."""
        if self.architecture == "topk":
            values, latents = torch.topk(activations, self.k, dim=1)
            return torch.zeros_like(activations).scatter(1, latents, values)
        flat = activations.flatten()
        values, places = torch.topk(flat, self.k * activations.shape[0])
        lowest = values[values > 0].min().item()
        self.threshold += (1 - lineage.THRESHOLD_MEMORY) * (lowest - self.threshold)
        return torch.zeros_like(flat).scatter(0, places, values).view_as(activations)

    @torch.no_grad()
    def constrain_decoder(self):
        unit = self.W_dec / self.W_dec.norm(dim=1, keepdim=True)
        self.W_dec.grad -= (self.W_dec.grad * unit).sum(1, keepdim=True) * unit
        self.W_dec.copy_(unit)

    def step(self, x):
        """One update on x [batch, d_model]; returns the loss."""
        activations = torch.relu((x - self.b_dec) @ self.W_enc)
        reconstruction = self.select(activations) @ self.W_dec + self.b_dec
        loss = (reconstruction - x).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.constrain_decoder()
        self.optimizer.step()
        return loss.item()


def main():
    flags = measure.parse_flags(__doc__)
    weights = measure.initial_weights(flags.d_model, flags.latents)
    trainer = PlainTrainer(weights, flags.k, flags.architecture)
    measure.measure("peer_plain", trainer, flags, f"torch dense, {torch.backends.cpu.get_cpu_capability()}")


if __name__ == "__main__":
    main()
