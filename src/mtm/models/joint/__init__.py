"""The joint model: donor factors and own effects of genes, behind all tissues of a donor."""
