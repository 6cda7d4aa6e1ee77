import subprocess
import sys

import pytest

from mtm.errors import InputError
from mtm.models.registry import build, model_class
from mtm.models.registry import model_names as fitted_names
from mtm.settings.base import Section, _once
from mtm.settings.config import Config
from mtm.settings.disease_status import StatusSettings
from mtm.settings.models.base import declared, model_names
from mtm.settings.scaling import Scaling
from mtm.settings.transfer import TransferSettings


def sections(start=Section):
    for section in start.__subclasses__():
        yield section
        yield from sections(section)


def test_a_section_is_frozen_and_takes_lists_as_tuples():
    settings = TransferSettings(alignments=["tpm"])
    assert settings.alignments == ("tpm",)
    with pytest.raises(ValueError, match="frozen"):
        settings.seed = 3


def test_changes_are_checked():
    assert Scaling().with_(log2_clip=3.0).log2_clip == 3.0
    with pytest.raises(InputError, match=r"scaling\.log2_clip: found -1; expected .* above 0"):
        Scaling().with_(log2_clip=-1)


def test_a_section_built_in_python_names_every_problem():
    with pytest.raises(InputError) as caught:
        StatusSettings(n_fold=3, repeats=0)
    assert "disease_status.repeats: found 0; expected integer, at least 1" in str(caught.value)
    assert "Did you mean 'disease_status.n_folds'?" in str(caught.value)
    with pytest.raises(InputError, match=r"parameters\[ridge\]\.rank: found 0"):
        build("ridge", {"rank": 0})


@pytest.mark.parametrize("section", list(sections()), ids=lambda section: section.__name__)
def test_defaults_are_allowed_themselves(section):
    if not any(field.is_required() for field in section.model_fields.values()):
        settings = section()
        assert section(**settings.model_dump()) == settings


def test_every_model_is_declared_and_points_to_its_settings():
    assert model_names() == fitted_names()
    for name in model_names():
        assert model_class(name).Parameters is declared(name)
        assert declared(name).name == name


def test_what_the_workflow_asks_of_models():
    assert [n for n in model_names() if declared(n).in_epochs] == ["mlp", "mtm"]
    needy = [n for n in model_names() if not declared(n)().from_expression_alone]
    assert needy == ["covariates", "train_mean"]
    for name, changes in {
        "mtm": {"covariates": ["age"]},
        "ridge": {"covariates": "own_penalty"},
        "teebot": {"covariate_columns": ["age"]},
    }.items():
        assert not declared(name)(**changes).from_expression_alone


def test_sections_know_the_name_they_have_in_a_configuration():
    for name, field in Config.model_fields.items():
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, Section) and name != "models":
                assert kind.section == name


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "from mtm.settings.check import check_config",
        "from mtm.settings.models.base import *; [declared(name)() for name in model_names()]",
        "import mtm.cli; mtm.cli.parser().format_help()",
        "from mtm.pipeline import code_digest, datasets, resources",
    ],
)
def test_settings_and_help_do_without_torch(code):
    command = f"import sys; {code}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", command], check=True)


class Compared(str):
    """Text that counts how often it is compared."""

    count = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        Compared.count += 1
        return str.__eq__(self, other)


def test_many_names_are_told_apart_without_comparing_each_with_each():
    # As of the digests of a bundle's training donors.
    names = tuple(Compared(number) for number in range(300))
    Compared.count = 0
    assert _once(names) == names
    assert Compared.count < 3 * len(names)
    with pytest.raises(ValueError, match="twice"):
        _once((*names, Compared(7)))
