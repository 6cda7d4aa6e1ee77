"""Literal transcription of methods 1.2-1.3: slow, plain, with torch's own spectral norm.

In float64 and without dropout it is what the engine is compared with; in float32 and with dropout
it is the plain training step that the engine's speed is compared with.
"""

import torch
from torch import nn
from torch.nn.utils import spectral_norm


class TCM(nn.Module):
    def __init__(self, n_in, n_out, n_tissues):
        super().__init__()
        self.fc = nn.Linear(n_in, n_out)
        self.weight = nn.Parameter(torch.ones(n_tissues, n_out))
        self.bias = nn.Parameter(torch.zeros(n_tissues, n_out))

    def forward(self, x, t):
        h = self.fc(x)
        m = h.mean(1, keepdim=True)
        s = h.std(1, keepdim=True)
        n = (h - m) / (s + 2e-5)
        n = torch.where(s == 0, torch.zeros_like(n), n)
        return nn.functional.leaky_relu(self.weight[t] * n + self.bias[t], 0.01)


class Net(nn.Module):
    def __init__(self, widths, n_tissues, dropout=0.0, norm=lambda layer: layer):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.tcm = nn.ModuleList(norm(TCM(a, b, n_tissues)) for a, b in pairs[:-1])
        self.last = norm(nn.Linear(*pairs[-1]))

    def forward(self, x, t):
        for layer in self.tcm:
            x = self.drop(layer(x, t))
        return self.last(x)


class M(nn.Module):
    def __init__(self, widths, dropout=0.0):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.fc = nn.ModuleList(
            nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True)
        )

    def forward(self, z):
        for layer in self.fc[:-1]:
            z = self.drop(nn.functional.leaky_relu(layer(z), 0.01))
        return self.fc[-1](z)


class Reference:
    """The published networks, losses and optimisers, with the widths of `p` (MTMParameters)."""

    def __init__(self, p, mean, sd, dropout=0.0, dtype=torch.float64):
        self.mean, self.sd = (torch.as_tensor(array, dtype=dtype) for array in (mean, sd))
        n_tissues, n_genes = self.mean.shape
        self.E = Net([n_genes, *p.encoder_widths, p.code_width], n_tissues, dropout)
        self.G = Net([p.code_width, *p.generator_widths, n_genes], n_tissues, dropout)
        self.D = Net([n_genes, *p.discriminator_widths, 1], n_tissues, norm=spectral_norm)
        self.M = M([p.noise_width, *p.mapping_widths, p.code_width], dropout)
        for net in (self.E, self.G, self.D, self.M):
            net.to(dtype).train()
        self.optimisers = {
            name: torch.optim.Adam(getattr(self, name).parameters(), lr=5e-4, betas=(0.5, 0.9))
            for name in "EGDM"
        }

    def encode(self, z, t):
        tpm = z * self.sd[t] + self.mean[t]
        return self.E(torch.log2(1 + torch.relu(tpm)), t)

    def step(self, x_s, s, x_t, t, z, r):
        c = self.encode(x_s, s)
        y = self.G(c, t)
        zc = self.M(z)
        yr = self.G(zc, r)
        ezc = self.encode(yr, r)
        cc = self.encode(y, t)
        xc = self.G(cc, s)
        loss_d = (
            torch.relu(1 - self.D(x_t, t)).mean()
            + torch.relu(1 - self.D(x_s, s)).mean()
            + torch.relu(1 + self.D(yr.detach(), r)).mean()
        )
        self.optimisers["D"].zero_grad()
        loss_d.backward()
        self.optimisers["D"].step()
        adversarial = -self.D(yr, r).mean()
        individual = (y - x_t).abs().mean()
        reconstruction = (zc - ezc).abs().mean()
        cycle = (xc - x_s).abs().mean()
        loss = adversarial + individual + reconstruction + cycle
        for name in "EMG":
            self.optimisers[name].zero_grad()
        loss.backward()
        for name in "EMG":
            self.optimisers[name].step()
        values = {
            "discriminator": loss_d,
            "adversarial": adversarial,
            "individual": individual,
            "reconstruction": reconstruction,
            "cycle": cycle,
        }
        return {key: value.item() for key, value in values.items()}
