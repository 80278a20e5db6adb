"""Tables and figures of IRecGAN (Bai et al., NeurIPS 2019)."""
