import importlib
import shutil
from pathlib import Path

import pytest

from mtm.errors import InputError
from mtm.figures import registry
from mtm.models.registry import model_class, model_names
from mtm.pipeline.code_digest import code_digest, figure_module, files_digest, model_module
from mtm.registered import registered_modules

ROOT = Path(__file__).parents[2]


@pytest.fixture
def code(tmp_path):
    """Return a copy of scripts and library, and a function that digests it."""
    for folder in ("scripts", "src"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.pyc"))

    def digest(script, *modules, **options):
        return code_digest(
            tmp_path / "scripts" / script, modules, source_root=tmp_path / "src", **options
        )

    return tmp_path, digest


def training(digest, name):
    return digest("train_fold.py", model_module(name), without=["mtm.predictions.monitoring"])


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_comment_docstring_and_layout_change_nothing(code):
    folder, digest = code
    before = digest("train_fold.py", "mtm.models.mtm.model")
    path = folder / "src/mtm/models/mtm/networks.py"
    path.write_text(
        "# A remark.\n\n\n" + path.read_text().replace("NORM_EPS = 2e-5", "NORM_EPS=2e-5")
    )
    edit(folder / "src/mtm/cohort/scaling.py", '"""', '"""Another docstring. ')
    edit(folder / "scripts/train_fold.py", '"""', '"""Another docstring. ')
    edit(folder / "src/mtm/settings/scaling.py", '"z-scores of', '"Put otherwise: z-scores of')
    assert digest("train_fold.py", "mtm.models.mtm.model") == before


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("src/mtm/models/mtm/networks.py", "NORM_EPS = 2e-5", "NORM_EPS = 3e-5"),
        ("src/mtm/settings/scaling.py", "key(5.0", "key(4.0"),
        ("src/mtm/models/registry.py", "values or {}", "values or dict()"),
        ("src/mtm/io.py", ".partial.", ".part."),
        ("src/mtm/__init__.py", ".strip()", ".rstrip()"),
        ("scripts/train_fold.py", "number = int(fold)", "number = int(fold) + 1"),
    ],
)
def test_edit_of_the_code_in_use_changes_the_digest(code, path, old, new):
    folder, digest = code
    before = training(digest, "mtm")
    edit(folder / path, old, new)
    assert training(digest, "mtm") != before


@pytest.mark.parametrize(
    ("path", "old", "new", "model"),
    [
        ("models/nearest_donors.py", "np.zeros(", "np.ones(", "nearest_donors"),
        ("settings/models/teebot.py", "key(5,", "key(4,", "teebot"),
    ],
)
def test_edit_of_one_model_leaves_the_others_alone(code, path, old, new, model):
    folder, digest = code
    before = {name: training(digest, name) for name in model_names()}
    edit(folder / "src/mtm" / path, old, new)
    after = {name: training(digest, name) for name in model_names()}
    assert [name for name in before if before[name] != after[name]] == [model]


def test_models_that_share_a_file_share_its_edits(code):
    folder, digest = code
    before = {name: training(digest, name) for name in model_names()}
    edit(folder / "src/mtm/models/baselines.py", "np.zeros(", "np.ones(")
    changed = [name for name in before if training(digest, name) != before[name]]
    assert changed == ["same_gene", "tissue_average", "train_mean"]


def test_edit_of_the_contract_concerns_every_model(code):
    folder, digest = code
    before = {name: training(digest, name) for name in model_names()}
    edit(folder / "src/mtm/models/bundle.py", "BUNDLE_VERSION = 2", "BUNDLE_VERSION = 3")
    assert all(training(digest, name) != before[name] for name in before)


def test_edit_of_a_table_that_the_code_names_changes_the_digest_of_who_reads_it(code):
    folder, digest = code
    scripts = "compare_with_paper.py", "draw_figure.py", "make_folds.py"

    def digests():
        return {name: digest(name) for name in scripts}

    of_paper, of_tissues = "analyses/paper/values.tsv", "cohort/gtex_tissues.tsv"
    for table, readers in ((of_paper, scripts[:1]), (of_tissues, scripts[1:2])):
        before, path = digests(), folder / "src/mtm" / table
        path.write_text(path.read_text().replace("0", "1", 1))
        after = digests()
        assert set(readers) <= {name for name in scripts if before[name] != after[name]}
        assert after["make_folds.py"] == before["make_folds.py"]
    # What no code names changes nothing.
    before = digests()
    (folder / "src/mtm/cohort/notes.tsv").write_text("a remark\n")
    assert digests() == before


def test_scoring_code_concerns_no_training(code):
    folder, digest = code
    before = training(digest, "mtm"), digest("score_model.py")
    path = folder / "src/mtm/analyses/accuracy/score.py"
    path.write_text(path.read_text() + "\nANOTHER = 1\n")
    assert training(digest, "mtm") == before[0]
    assert digest("score_model.py") != before[1]


def test_imports_inside_functions_and_relative_ones_are_followed(tmp_path):
    package = tmp_path / "src/mtm"
    (package / "deep").mkdir(parents=True)
    for name in ("__init__.py", "deep/__init__.py"):
        (package / name).write_text("")
    (package / "deep/one.py").write_text("def f():\n    from . import two\n    return two\n")
    (package / "deep/two.py").write_text("from ..three import X\n")
    (package / "three.py").write_text("X = 1\n")
    script = tmp_path / "script.py"
    script.write_text("import mtm.deep.one\n")
    before = code_digest(script, source_root=tmp_path / "src")
    (package / "three.py").write_text("X = 2\n")
    assert code_digest(script, source_root=tmp_path / "src") != before


def test_registered_names_are_found_without_importing():
    models = registered_modules("mtm.models", "register")
    assert models == {name: model_class(name).__module__ for name in model_names()}
    figures = registered_modules("mtm.figures", "figure")
    for name in set(figures.values()):
        importlib.import_module(name)
    assert set(figures) == set(registry._FIGURES)
    assert figure_module("fig2a") == "mtm.figures.accuracy"


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(InputError, match="model: found 'nothing'"):
        model_module("nothing")
    with pytest.raises(InputError, match="mtm.nothing"):
        code_digest(ROOT / "scripts/train_fold.py", ["mtm.nothing"])
    with pytest.raises(InputError, match="no readable code"):
        code_digest(tmp_path / "absent.py")


def test_files_that_are_no_code_have_a_digest_of_their_content(tmp_path):
    (tmp_path / "page.css").write_text("a {}")
    first = files_digest(tmp_path)
    assert first == files_digest(tmp_path)
    (tmp_path / "page.css").write_text("b {}")
    assert files_digest(tmp_path) != first
