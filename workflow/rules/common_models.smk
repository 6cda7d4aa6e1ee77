# What rules ask of a model, by its wildcards.


def model_class(wildcards):
    """Return the class of a model."""
    return config["models"][wildcards.model]["class"]


def model_parameters(wildcards):
    """Return the hyper-parameters of a model."""
    return config["models"][wildcards.model]["parameters"]


def model_sources(wildcards):
    """Return the tissues that a model sees of a held-out donor."""
    return config["models"][wildcards.model]["sources"]


def gpu_resource(wildcards):
    """Return how many graphics cards a job asks for."""
    return asked.graphics_cards(config["training"]["device"], workflow.local_exec)


def gpu_of_training(wildcards):
    """Return how many graphics cards the training of a model asks for."""
    on_card = PARAMETERS[wildcards.model].on_card
    return gpu_resource(wildcards) if on_card else 0


# How a model is fitted, whatever its class.
TRAINING = {
    "scaling": config["scaling"],
    "source": config["source"],
    "monitor_every": config["training"]["monitor_every"],
}


def model_seed(name):
    """Return the seed of a model: its own in place of that of all."""
    return (config["models"][name]["seeds"] or [config["training"]["seed"]])[0]


def training_settings(wildcards):
    """Return how a model is fitted."""
    of_model = {
        "seed": model_seed(wildcards.model),
        "sources": model_sources(wildcards),
    }
    return TRAINING | of_model


def learns(name):
    """Return whether a model learns from the donors of other folds; the oracle knows the truth."""
    return name in PARAMETERS and any(
        PARAMETERS[part].learns for part in with_members(name)
    )


def model_learns(wildcards):
    """Return whether the model of the wildcards learns."""
    return learns(wildcards.model)


def members_of(wildcards):
    """Return the models that a model is made of."""
    return list(PARAMETERS[wildcards.model].members)


def member_bundles(wildcards):
    """Return the bundles of the models that a model is made of, fitted on the same donors."""
    place = "{cohort}"
    if "evaluation" in wildcards.keys():
        place = "{cohort}/external/{evaluation}"
    elif "n_donors" in wildcards.keys():
        place = "{cohort}/growth/{n_donors}"
    run = "fold{fold}" if "fold" in wildcards.keys() else "all"
    path = f"results/{place}/models/{{member}}/{run}.safetensors"
    members = [FITS[member] for member in members_of(wildcards)]
    return [path.format(**wildcards, member=member) for member in members]


def with_members(name):
    """Return a model and all that it is made of."""
    members = PARAMETERS[name].members
    return [name, *(part for member in members for part in with_members(member))]


def add_trainings(table, models, **runs):
    """Add a training table of every network among models and what they are made of."""
    parts = {FITS[part] for name in models for part in with_members(name)}
    networks = [name for name in ITERATIVE_MODELS if name in parts]
    TRAININGS.extend(expand(table, model=networks, allow_missing=True, **runs))


def training_resource(name):
    """Return the function that gives a training's `mem_mb` or `disk_mb`."""

    def resource(wildcards):
        parts = [PARAMETERS[part] for part in with_members(wildcards.model)]
        return asked.training_resources(parts, COHORT_SIZE)[name]

    return resource


def prediction_resource(name):
    """Return the function that gives a prediction's `mem_mb` or `disk_mb`."""

    def resource(wildcards):
        parts = [PARAMETERS[part] for part in with_members(wildcards.model)]
        kind = config["storage"]["predictions"]
        return asked.prediction_resources(parts, COHORT_SIZE, kind)[name]

    return resource


def memory_beside_bundle(rule):
    """Return the function that gives `mem_mb` of a rule that also loads a model and predicts."""
    predicting = prediction_resource("mem_mb")
    return lambda wildcards: max(RULE_RESOURCES[rule]["mem_mb"], predicting(wildcards))


def certificate_resource(name):
    """Return the function that gives `mem_mb` or `disk_mb` of certifying a bundle."""

    def resource(wildcards):
        parts = [PARAMETERS[part] for part in with_members(wildcards.model)]
        return asked.certificate_resources(parts, COHORT_SIZE)[name]

    return resource


def model_modules(name):
    """Return the modules that define a model and all that it is made of."""
    classes = {config["models"][part]["class"] for part in with_members(name)}
    return sorted(map(digest.model_module, classes))


def training_code(wildcards):
    """Return the digest of the code that fits a model, that of other models left out."""
    fitted = model_modules(wildcards.model)
    return code_of("train_fold.py", *fitted, without=("mtm.predictions.monitoring",))


def prediction_code(wildcards):
    """Return the digest of the code that predicts with a model, that of other models left out."""
    return code_of("predict_fold.py", *model_modules(wildcards.model))


def certificate_code(wildcards):
    """Return the digest of the code that certifies a bundle, that of other models left out."""
    return code_of("certify_bundle.py", *model_modules(wildcards.model))


def sources_code(wildcards):
    """Return the digest of the code that scores a model from any tissues."""
    return code_of("score_sources.py", *model_modules(wildcards.model))


def sources_resource(name):
    """Return the function that gives `mem_mb` or `disk_mb` of scoring a model from any tissues."""

    def resource(wildcards):
        parts = [PARAMETERS[part] for part in with_members(wildcards.model)]
        return asked.sources_resources(parts, COHORT_SIZE, len(FOLDS))[name]

    return resource


def needs_no_covariates(name):
    """Return whether a model predicts new people from one sample each."""
    one_sample = config["models"][name]["sources"] in ("source", [config["source"]])
    parts = [PARAMETERS[part] for part in with_members(name)]
    return one_sample and all(part.from_expression_alone for part in parts)
