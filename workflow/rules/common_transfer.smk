# What rules of external cohorts ask.
TRANSFER = config["transfer"]
EXTERNAL = config["external"] or {}
EXTERNAL_FILES = {
    name: {
        f"external_{role}": resolve_file(
            f"external.{name}.{role}", named, DATASETS, config["local_files"]
        )
        for role, named in external_roles(external).items()
    }
    for name, external in EXTERNAL.items()
}
GENE_NAMES = gene_names_dataset(config)
# What says which genes names are: HGNC's table, and NCBI's where the user has it.
GENE_NAME_FILES = {
    role: path
    for role, path in {
        "hgnc": GENE_NAMES
        and resolve_file(
            "inputs.gene_identifiers", GENE_NAMES, DATASETS, config["local_files"]
        ),
        "gene_table": config["local_files"].get("ncbi_gene_table"),
    }.items()
    if path
}


def transfer_of(wildcards):
    """Return the settings of an external cohort: its contrast, and what all share."""
    own = EXTERNAL[wildcards.external]["contrast"]
    return for_jobs(TRANSFER) | ({"contrast": own} if own else {})


def without_reference(wildcards):
    """Return what the groups are compared by in predicted tissues, whatever the reference."""
    of_reference = ("contrast", "reference", "min_de_genes", "alignments")
    headline = {"alignments": TRANSFER["alignments"][:1]}
    return for_jobs(TRANSFER, *of_reference) | headline


def source_of(wildcards):
    """Return the tissue of an external cohort's samples."""
    return EXTERNAL[wildcards.external]["source"] or config["source"]


def files_of_external(wildcards):
    """Return what an external cohort is read from."""
    files = EXTERNAL_FILES[wildcards.external]
    files = followed(files)
    if GENE_NAMES:
        files["names"] = rules.name_genes.output.names
    if EXTERNAL[wildcards.external]["units"] == "counts":
        files |= followed(inputs_of("gene_model"))
    return files


def counts_file(external):
    """Return where NCBI's counts of a series are, should they be there."""
    series = EXTERNAL[external]["geo"]
    if series is None:
        return None
    name = series_dataset("ncbi_counts", series)
    return config["local_files"].get(name, f"resources/{DATASETS[name].file}")
