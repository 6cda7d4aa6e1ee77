"""Modules found by name: what is told where one of them is missing or cannot be read."""

import pytest

from mtm.errors import InputError
from mtm.registered import registered_module, registered_modules
from mtm.settings import training
from mtm.settings.training import ModelSettings


def written(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_a_name_that_only_running_the_module_would_tell_is_refused(tmp_path):
    written(
        tmp_path, "mtm/models/own.py", 'NAME = "own"\n\n\n@register(NAME)\nclass Own:\n    pass\n'
    )
    with pytest.raises(
        InputError, match=r"own\.py, line 4: found @register\(NAME\); expected @reg"
    ):
        registered_modules("mtm.models", "register", tmp_path)


@pytest.mark.parametrize(
    ("there", "decorator", "missing"),
    [
        ("mtm.settings.models", "parameters", "mtm.models"),
        ("mtm.models", "register", "mtm.settings.models"),
    ],
)
def test_of_a_model_with_one_of_its_files_the_other_is_named(tmp_path, there, decorator, missing):
    path = f"{there.replace('.', '/')}/own.py"
    written(tmp_path, path, f'@{decorator}("own")\nclass Own:\n    pass\n')
    other = "register" if missing == "mtm.models" else "parameters"
    with pytest.raises(InputError) as caught:
        registered_module(missing, other, "own", "model", tmp_path)
    place = missing.replace(".", "/")
    assert f"{there}.own is there" in str(caught.value)
    assert f"with @{other}('own') in src/{place}" in str(caught.value)
    with pytest.raises(InputError) as caught:
        registered_module(missing, other, "nobody", "model", tmp_path)
    assert "is there" not in str(caught.value)


def test_a_configuration_says_so_too(monkeypatch):
    monkeypatch.setattr(training, "model_names", lambda: ["train_mean"])
    with pytest.raises(InputError, match=r"class: found 'ridge'.*mtm\.models\.ridge is there"):
        ModelSettings(**{"class": "ridge"})
