# What rules of people from elsewhere ask.
EVALUATION = config["evaluation"]
# Those of another cohort, and parts of this one.
ELSEWHERE = {name: e for name, e in EVALUATION["external"].items() if not e["hold_out"]}
PARTS = {name: e for name, e in EVALUATION["external"].items() if e["hold_out"]}
# Files of the other cohorts, by the roles of `build_cohort`.
ELSEWHERE_FILES = {
    name: {
        role: resolve_file(
            f"evaluation.external.{name}.{role}",
            named,
            DATASETS,
            config["local_files"],
        )
        for role, named in evaluation.items()
        if role in COHORT_INPUTS
    }
    for name, evaluation in ELSEWHERE.items()
}


def other_cohort(wildcards):
    """Return the files of another cohort, as roles of `build_cohort`."""
    return followed(ELSEWHERE_FILES[wildcards.evaluation])


def people_from_elsewhere(wildcards):
    """Return the files of another cohort once it is built, and nothing for a part of this one."""
    if wildcards.evaluation in PARTS:
        return {}
    return {
        "external_expression": rules.build_external.output.expression,
        "external_donors": rules.build_external.output.donors,
    }


def bundle_without_them(wildcards):
    """Return the model that was fitted without the people it is scored on."""
    if wildcards.evaluation in PARTS:
        bundle = rules.train_external.output.bundle.replace("{fold}", "0")
    else:
        bundle = rules.train_all.output.bundle
    return of_its_fits(bundle)(wildcards)
