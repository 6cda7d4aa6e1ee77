"""``mtm geo``: what differs in tissues nobody sampled, from a GEO accession."""

import argparse
from pathlib import Path

from mtm.cli.predict import DEFAULT_ALIGNMENT
from mtm.cli.say import say
from mtm.errors import InputError
from mtm.vocabulary import NEW_ALIGNMENTS

PRESETS = ("config.yaml", "geo.yaml")
# Below this, groups cannot be compared.
LEAST = 3


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    geo = commands.add_parser(
        "geo",
        help="compare cases and controls of a GEO series in predicted tissues",
        description="Fetch a series of human blood RNA-seq, predict every tissue of its people, "
        "and compare cases with controls. docs/geo.md has an example.",
    )
    geo.add_argument("accession", help="of the series, GSE184050")
    geo.add_argument("--bundle", type=Path, help="model (.safetensors)")
    geo.add_argument("--out", required=True, type=Path, help="folder for files and results")
    geo.add_argument(
        "--files", type=Path, help="folder of the series' files (default: files below --out)"
    )
    geo.add_argument("--source", metavar="TISSUE", help="tissue of the samples (the bundle's)")
    geo.add_argument("--platform", metavar="GPL", help="of a series of several platforms")
    geo.add_argument("--group", metavar="FIELD", help="field that tells cases from controls")
    for name in ("case", "control"):
        geo.add_argument(
            f"--{name}", action="append", metavar="VALUE", help=f"its value in {name}s; repeat"
        )
    for name, words in (("keep", "samples compared"), ("follow-up", "later samples of them")):
        geo.add_argument(
            f"--{name}", action="append", type=_pair, metavar="FIELD=VALUE", help=words
        )
    for name in ("donor", "sex", "age"):
        geo.add_argument(f"--{name}", metavar="FIELD", help=f"field of the {name}")
    geo.add_argument(
        "--align",
        choices=NEW_ALIGNMENTS,
        default=DEFAULT_ALIGNMENT,
        help="bring the samples to the training samples, as of mtm predict (default: %(default)s)",
    )
    geo.add_argument("--config", type=Path, help="configuration whose `external` has the series")
    geo.add_argument("--permutations", type=int, default=1000, metavar="N")
    geo.add_argument("--force", action="store_true", help="replace results that are there")
    geo.set_defaults(run=run)


def _pair(text: str) -> tuple[str, str]:
    """Argument FIELD=VALUE."""
    field, sign, value = text.partition("=")
    if not (field.strip() and sign and value.strip()):
        raise argparse.ArgumentTypeError(f"{text} is no FIELD=VALUE")
    return field.strip(), value.strip()


def _said_by(key: str) -> str:
    """Name the option that says a key."""
    return "--" + key.split(".")[-1].replace("group.field", "group").replace("_", "-").replace(
        "field", "group"
    )


def _settings(options: argparse.Namespace):
    """Join what a configuration says of the series with the options; the first goes before."""
    from mtm.registered import SOURCE_ROOT
    from mtm.settings.external import External
    from mtm.settings.yaml_file import read_values

    folder = SOURCE_ROOT.parent / "config"
    given = {}
    for path in [options.config] if options.config else [folder / name for name in PRESETS]:
        known = (read_values(path).get("external") or {}) if path.exists() else {}
        given = given or next((one for one in known.values()
                               if one.get("geo") == options.accession), {})  # fmt: skip
    group = dict(given.get("group", {}))
    group |= {"field": options.group} if options.group else {}
    for name in ("case", "control"):
        group |= {name: getattr(options, name)} if getattr(options, name) else {}
    values = {**given, "geo": options.accession, "group": group}
    for name in ("keep", "follow_up"):
        if pairs := getattr(options, name):
            values[name] = {}
            for field, value in pairs:
                values[name].setdefault(field, []).append(value)
    for name in ("platform", "source", "donor", "sex", "age"):
        if getattr(options, name):
            values[name] = getattr(options, name)
    settings = External.of(values)
    for problem in settings.problems():
        raise InputError(_said_by(problem.where), problem.found, problem.expected)
    return settings, bool(group)


def run(options: argparse.Namespace) -> None:
    """Run ``mtm geo``."""
    from mtm.analyses.transfer.people import fields_of
    from mtm.cohort.geo.series import ACCESSION, read_series_matrix
    from mtm.pipeline.geo import fetch_series

    if not ACCESSION.fullmatch(options.accession):
        raise InputError(
            "accession", repr(options.accession), "a series of GEO, such as GSE184050"
        )
    settings, grouped = _settings(options)
    if (options.out / "index.html").exists() and not options.force:
        found = "results that are there already"
        raise InputError(f"--out {options.out}", found, "a new folder", "Or add --force.")
    folder = options.files or options.out / "files"
    if not grouped or options.bundle is None:
        path, *_ = fetch_series(settings.geo, settings.platform, folder, matrix_alone=True)
        table = fields_of(read_series_matrix(path).samples)
        for row in table.itertuples():
            say(f"{row.field} ({row.n} samples): {row.values}")
        expected = "--bundle" if grouped else "--group FIELD --case VALUE --control VALUE"
        raise InputError(options.accession, "the fields above", expected)
    _compare(options, settings, folder)


def _compare(options: argparse.Namespace, settings, folder: Path) -> None:
    """Fetch, read, predict, compare and write."""
    from mtm.analyses.transfer.predicted import predicted_differences
    from mtm.analyses.transfer.predicting import of_model_genes, to_bundle
    from mtm.analyses.transfer.reading import Files, read_people
    from mtm.cohort.gene_names import gene_names
    from mtm.io import write_tsv
    from mtm.models.registry import load
    from mtm.page.geo import write_geo_page
    from mtm.pipeline.geo import fetch_series
    from mtm.predictions.checks import in_words
    from mtm.predictions.new_people import check_source
    from mtm.predictions.samples import checks_of
    from mtm.settings.transfer import MIN_OVERLAP, TransferSettings

    model = load(options.bundle)
    if model.measure != "tpm":
        raise InputError(options.bundle, "a model of values on a scale of their own", "one of TPM")
    source = settings.source or model.provenance.source
    check_source(model, source)
    matrix, tpm, counts, hgnc, ncbi = fetch_series(settings.geo, settings.platform, folder)
    names = gene_names(hgnc, ncbi)
    reading = read_people(
        settings, Files(tpm, matrix, counts), model.genes, names,
        min_per_group=LEAST, said_by=_said_by,
    )  # fmt: skip
    for row in reading.report.itertuples():
        say(f"{row.step}: {row.n}" + (f" ({row.detail})" if row.detail else ""))
    people = reading.cohort(tpm)
    samples = of_model_genes(model, people, source, MIN_OVERLAP)
    checks = checks_of(model, samples)
    for line in in_words(checks):
        say(line)

    def align(model, samples):
        moved = to_bundle(options.align)(model, samples)
        for done in moved if options.align != "none" else ():
            say(str(done))
        return moved

    tissues, genes = predicted_differences(
        model, model.name, people, align, source,
        TransferSettings(permutations=options.permutations, min_per_group=LEAST),
    )  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    reading.write(*(options.out / name for name in ("expression.h5ad", "samples.tsv",
                                                     "reading.tsv")))  # fmt: skip
    write_tsv(checks, options.out / "checks.tsv")
    write_geo_page(options.out, settings, matrix, reading.report, tissues, genes)
    say(f"{options.out / 'index.html'}: {settings.geo}, {len(people.kept().samples)} people, "
        f"{tissues['tissue'].nunique()} tissues")  # fmt: skip
