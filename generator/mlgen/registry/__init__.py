"""Image registries: what a reference means, who may ask, which digest a tag has. Only this room asks them."""
