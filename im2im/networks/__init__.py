"""Networks: layers of either dimension, the project's own architectures, and what is measured on any of them."""
