"""Series of the Gene Expression Omnibus (GEO): their samples and NCBI's matrices of them."""
