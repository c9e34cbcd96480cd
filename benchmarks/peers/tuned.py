"""A PyTorch trainer of the same step, tuned: one dense product, everything else sparse and written by hand.

* Encode in row blocks that stay in the outer cache, through oneDNN's linear (faster here than torch.mm).
* Selection by torch.topk (`--selection=torch`): of the rows for TopK; for BatchTopK of each row's CANDIDATES_PER_K * k
  largest and then of all those. Or by a prefilter (`--selection=prefilter`, the default). TopK: the k-th largest of 256
  group maxima of a row bounds its k-th activation from below. BatchTopK: 0.93 of the last step's threshold. What lies
  above is compacted by numpy; a block whose prefilter keeps too few (or whose bound is not positive) takes torch.topk.
  The result is always the exact one.
* Decode by embedding_bag, gradients of the values by sampled_addmm, gradients of the weights by CSR products.
* Projection, AdamW (torch's fused kernel) and renormalisation by blocks of latents while their rows are in cache.

No autograd. run.sh sets the allocator to keep huge pages and large blocks.
"""

import concurrent.futures
import time
import warnings

import numpy as np
import torch

import lineage
import measure

ROW_BLOCK = 256
LATENT_BLOCK = 1024
GROUPS = 256
PREFILTER = 0.93
CANDIDATES_PER_K = 4

warnings.filterwarnings("ignore", message="Sparse (CSR|invariant)")


class Codes:
    """Selected entries in row order: latents and values [entries], offsets [batch + 1]."""

    def __init__(self, offsets, latents, values, latent_count):
        self.offsets, self.latents, self.values = offsets, latents, values
        self.shape = (len(offsets) - 1, latent_count)

    def csr(self, values):
        return torch.sparse_csr_tensor(self.offsets, self.latents, values, size=self.shape)


class TunedTrainer:
    def __init__(self, weights, k, architecture, threads, selection="prefilter"):
        """`weights` [latents, d_model]: decoder and encoder rows at the start."""
        self.k = k
        self.architecture = architecture
        self.selection = selection
        self.W_enc = weights.clone()  # [latents, d_model]
        self.W_dec = weights.clone()  # [latents, d_model]
        self.b_dec = torch.zeros(weights.shape[1])
        self.moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in self.parameters().items()}
        self.updates = 0
        self.threshold = 0.0  # running inference threshold of BatchTopK
        self.last_lowest = 0.0  # smallest value that the last batch kept
        self.pool = concurrent.futures.ThreadPoolExecutor(threads)
        self.threads = threads
        self.clock = None

    def parameters(self):
        return {"W_enc": self.W_enc, "W_dec": self.W_dec, "b_dec": self.b_dec}

    def lap(self, part):
        if self.clock is not None:
            now = time.perf_counter()
            self.clock[part] = self.clock.get(part, 0.0) + 1e3 * (now - self.clock["start"])
            self.clock["start"] = now

    # Selection ------------------------------------------------------------------------------------------------

    def above(self, block, bound):
        """Flat positions in `block` [rows, latents] of what is >= bound (a number, or one a row), in order."""
        array = block.numpy()
        rows = array.shape[0]
        cuts = [rows * i // self.threads for i in range(self.threads + 1)]

        def part(first, last):
            limit = bound if isinstance(bound, float) else bound[first:last]
            return np.flatnonzero(array[first:last] >= limit) + first * array.shape[1]

        return np.concatenate(list(self.pool.map(part, cuts[:-1], cuts[1:])))

    def topk_rows(self, block):
        """Latents ascending and activations [rows, k] of the k largest in each row of `block`."""
        rows, latents = block.shape
        if self.selection == "prefilter" and latents % GROUPS == 0 and self.k < GROUPS:
            maxima = block.view(rows, latents // GROUPS, GROUPS).amax(1).numpy()
            bound = np.partition(maxima, GROUPS - self.k, axis=1)[:, GROUPS - self.k, None]
            if bound.min() > 0:
                return self.best_of_candidates(block, self.above(block, bound))
        values, chosen = torch.topk(block, self.k, dim=1, sorted=False)
        chosen, order = chosen.sort(1)
        return chosen.to(torch.int32), values.gather(1, order).clamp_(min=0)

    def best_of_candidates(self, block, places):
        """The k largest of each row's candidates, of which every row has at least k."""
        rows, latents = block.shape
        row_of = places // latents
        counts = np.bincount(row_of, minlength=rows)
        first = np.cumsum(counts) - counts
        column = np.arange(len(places)) - first[row_of]
        values = np.full((rows, counts.max()), -np.inf, np.float32)
        chosen = np.zeros(values.shape, np.int32)
        values[row_of, column] = block.numpy().ravel()[places]
        chosen[row_of, column] = places - row_of * latents
        kept = torch.topk(torch.from_numpy(values), self.k, dim=1, sorted=False)[1].sort(1)[0]
        return torch.from_numpy(chosen).gather(1, kept), torch.from_numpy(values).gather(1, kept)

    def encode_blocks(self, centred):
        for first in range(0, len(centred), ROW_BLOCK):
            block = torch.ops.mkldnn._linear_pointwise(centred[first:first + ROW_BLOCK], self.W_enc, None, "none", [], "")
            self.lap("encode")
            yield first, block

    def encode_topk(self, centred):
        latents = torch.empty(len(centred), self.k, dtype=torch.int32)
        values = torch.empty(len(centred), self.k)
        for first, block in self.encode_blocks(centred):
            latents[first:first + len(block)], values[first:first + len(block)] = self.topk_rows(block)
            self.lap("select")
        offsets = torch.arange(0, latents.numel() + 1, self.k, dtype=torch.int32)
        return Codes(offsets, latents.flatten(), values.flatten(), len(self.W_enc))

    def encode_batchtopk(self, centred):
        wanted = self.k * len(centred)
        bound = float(PREFILTER * self.last_lowest)
        places, values = [], []
        if self.selection == "torch":
            places, values = self.row_candidates(centred, wanted)
            return self.batch_codes(places, values, wanted, len(centred))
        for first, block in self.encode_blocks(centred):
            found = self.above(block, bound) if bound > 0 else np.flatnonzero(block.numpy() > 0)
            values.append(block.numpy().ravel()[found])
            places.append(found + first * block.shape[1])
            self.lap("select")
        places, values = np.concatenate(places), np.concatenate(values)
        if len(values) < wanted and bound > 0:  # the threshold fell by more than the prefilter allows
            self.last_lowest = 0.0
            return self.encode_batchtopk(centred)
        return self.batch_codes(places, values, wanted, len(centred))

    def row_candidates(self, centred, wanted):
        """Places and values that hold the `wanted` largest of the batch, found row by row."""
        width = min(CANDIDATES_PER_K * self.k, len(self.W_enc))
        places, values = [], []
        for first, block in self.encode_blocks(centred):
            best, chosen = torch.topk(block, width, dim=1, sorted=False)
            chosen, order = chosen.sort(1)
            places.append((chosen + (torch.arange(len(block))[:, None] + first) * len(self.W_enc)).numpy())
            values.append(best.gather(1, order).numpy())
            self.lap("select")
        places, values = np.concatenate(places), np.concatenate(values)
        limit = np.partition(values.ravel(), values.size - wanted)[values.size - wanted]
        full = np.flatnonzero(values.min(1) >= limit) if width < len(self.W_enc) else []
        if len(full) == 0:
            return places.ravel(), values.ravel()
        # Rows that may hold more than `width` of them are taken whole.
        whole = (centred[full] @ self.W_enc.t()).numpy()
        kept = np.delete(np.arange(len(values)), full)
        all_places = np.concatenate([places[kept].ravel(), (full[:, None] * len(self.W_enc) + np.arange(len(self.W_enc))).ravel()])
        all_values = np.concatenate([values[kept].ravel(), whole.ravel()])
        order = np.argsort(all_places)
        return all_places[order], all_values[order]

    def batch_codes(self, places, values, wanted, rows):
        """The codes of the `wanted` largest candidates, given in the order of their places."""
        places, values = keep_largest(places, values, wanted)
        values = np.maximum(values, 0)
        self.last_lowest = float(values.min())
        self.threshold += (1 - lineage.THRESHOLD_MEMORY) * (self.last_lowest - self.threshold)
        row_of = places // len(self.W_enc)
        offsets = np.searchsorted(row_of, np.arange(rows + 1)).astype(np.int32)
        latents = (places - row_of * len(self.W_enc)).astype(np.int32)
        self.lap("select")
        return Codes(torch.from_numpy(offsets), torch.from_numpy(latents), torch.from_numpy(values), len(self.W_enc))

    # Update ---------------------------------------------------------------------------------------------------

    def adamw(self, name, rows, gradient):
        m, v = (moment[rows] for moment in self.moments[name])
        torch._fused_adamw_([self.parameters()[name][rows]], [gradient], [m], [v], [], [torch.tensor(float(self.updates))],
                            lr=lineage.LR, beta1=lineage.BETAS[0], beta2=lineage.BETAS[1], eps=lineage.EPSILON,
                            weight_decay=lineage.WEIGHT_DECAY, amsgrad=False, maximize=False)

    def update_latents(self, codes, value_gradients, centred, output_gradient):
        """Weight gradients by latent, projection and AdamW, one block of latents after the other."""
        order = np.argsort(codes.latents.numpy().astype(np.uint16 if len(self.W_enc) <= 65536 else np.int32), kind="stable")
        row_of = np.repeat(np.arange(codes.shape[0], dtype=np.int32), np.diff(codes.offsets.numpy()))[order]
        counts = np.bincount(codes.latents.numpy(), minlength=len(self.W_enc))
        offsets = torch.from_numpy(np.concatenate(([0], np.cumsum(counts))).astype(np.int32))
        order, row_of = torch.from_numpy(order), torch.from_numpy(row_of)
        values, value_gradients = codes.values[order], value_gradients[order]
        self.lap("sort")
        for first in range(0, len(self.W_enc), LATENT_BLOCK):
            rows = slice(first, min(first + LATENT_BLOCK, len(self.W_enc)))
            entries = slice(int(offsets[rows.start]), int(offsets[rows.stop]))
            block_offsets = offsets[rows.start:rows.stop + 1] - offsets[rows.start]

            def product(factors, dense):
                size = (rows.stop - rows.start, codes.shape[0])
                return torch.sparse_csr_tensor(block_offsets, row_of[entries], factors[entries], size=size) @ dense

            encoder_gradient = product(value_gradients, centred)
            decoder_gradient = product(values, output_gradient)
            self.lap("weight gradients")
            decoder = self.W_dec[rows]
            decoder.div_(torch.linalg.vector_norm(decoder, dim=1, keepdim=True))
            parallel = torch.einsum("md,md->m", decoder_gradient, decoder)
            decoder_gradient.addcmul_(decoder, parallel[:, None], value=-1)
            self.adamw("W_enc", rows, encoder_gradient)
            self.adamw("W_dec", rows, decoder_gradient)
            self.lap("project and adam")

    @torch.no_grad()
    def step(self, x):
        """One update on x [batch, d_model]; returns the loss."""
        centred = x - self.b_dec
        codes = self.encode_topk(centred) if self.architecture == "topk" else self.encode_batchtopk(centred)
        error = torch.nn.functional.embedding_bag(codes.latents, self.W_dec, codes.offsets[:-1], mode="sum",
                                                  per_sample_weights=codes.values)
        error.sub_(centred)
        loss = torch.dot(error.view(-1), error.view(-1)).item() / error.numel()
        output_gradient = error.mul_(2.0 / error.numel())
        self.lap("decode")
        pattern = codes.csr(codes.values)
        value_gradients = torch.sparse.sampled_addmm(pattern, output_gradient, self.W_dec.t(), beta=0.0).values()
        value_gradients *= codes.values > 0
        self.lap("value gradients")
        column_sums = torch.bincount(codes.latents, value_gradients, minlength=len(self.W_enc)).to(torch.float32)
        bias_gradient = output_gradient.sum(0) - self.W_enc.t() @ column_sums
        self.lap("bias gradient")
        self.updates += 1
        self.update_latents(codes, value_gradients, centred, output_gradient)
        self.adamw("b_dec", slice(None), bias_gradient)
        return loss

    def profile(self, x):
        """Milliseconds of the parts of one step."""
        self.clock = {"start": time.perf_counter()}
        self.step(x)
        parts = {part: round(ms, 2) for part, ms in self.clock.items() if part != "start"}
        self.clock = None
        return parts


def keep_largest(places, values, wanted):
    """The `wanted` largest, in order of their places; ties to the lowest place."""
    if len(values) <= wanted:
        return places, values
    limit = np.partition(values, len(values) - wanted)[len(values) - wanted]
    kept = values > limit
    ties = np.flatnonzero(values == limit)[:wanted - np.count_nonzero(kept)]
    kept[ties] = True
    return places[kept], values[kept]


def main():
    flags = measure.parse_flags(__doc__.split("\n")[0])
    weights = measure.initial_weights(flags.d_model, flags.latents)
    trainer = TunedTrainer(weights, flags.k, flags.architecture, flags.threads, flags.selection)
    kernel = f"oneDNN linear, CSR products, selection by {flags.selection}, {torch.backends.cpu.get_cpu_capability()}"
    measure.measure("peer_tuned", trainer, flags, kernel)


if __name__ == "__main__":
    main()
