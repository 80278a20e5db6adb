"""Tables and figures of the GAN user model (Chen et al., ICML 2019)."""
