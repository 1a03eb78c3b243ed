"""config: where each setting comes from."""

from pathlib import Path

import pytest
from traitlets import TraitError

from ipython_assistant.config import AssistantMagics, freeze, origins
from ipython_assistant.errors import ConfigError
from ipython_assistant.options import Options
from ipython_assistant.session import Session

HERE = Path("/notebooks")


def settings(traits=None, environment=None, **options):
    return freeze(traits or AssistantMagics(), Options(**options), HERE, environment or {})


def test_without_a_key_the_embedded_engine_answers():
    assert (settings().service, settings().model) == ("local", "")


def test_a_key_means_the_hosted_service():
    assert settings(environment={"OPENAI_API_KEY": "x"}).service == "openai"


def test_the_environment_can_force_the_embedded_engine_whatever_keys_there_are():
    environment = {"OPENAI_API_KEY": "x", "IPYTHON_ASSISTANT_SERVICE": "local", "IPYTHON_ASSISTANT_MODE": "live"}

    assert settings(environment=environment).service == "local"
    assert settings(environment=environment).mode == "live"


def test_a_trait_set_by_hand_beats_the_environment():
    traits = AssistantMagics(service="local", model="mine")
    environment = {"OPENAI_API_KEY": "x", "IPYTHON_ASSISTANT_SERVICE": "openai", "IPYTHON_ASSISTANT_MODEL": "theirs"}

    assert settings(traits, environment).service == "local"
    assert settings(traits, environment).model == "mine"


def test_the_cells_own_option_beats_everything():
    traits = AssistantMagics(model="mine", save_dir="there")
    frozen = settings(traits, model="this", directory="here")

    assert (frozen.model, frozen.save_dir) == ("this", HERE / "here")


def test_files_go_beside_the_notebook_by_default():
    assert settings().save_dir == HERE / "assistant_files"


def test_a_wrong_value_in_the_environment_lists_the_right_ones():
    with pytest.raises(ConfigError) as caught:
        settings(environment={"IPYTHON_ASSISTANT_SERVICE": "opnai"})

    assert caught.value.hint == "Set it to one of: openai, azure, local."


def test_a_wrong_value_of_a_trait_is_refused_when_it_is_set():
    with pytest.raises(TraitError):
        AssistantMagics(service="opnai")


def test_no_trait_can_hold_a_key_and_every_trait_has_help():
    traits = AssistantMagics.class_traits(config=True)

    assert not [name for name in traits if name.endswith(("key", "token", "secret"))]
    assert all(trait.help for trait in traits.values())


@pytest.mark.parametrize(
    ("region", "address"), [("eu", "https://eu.api.openai.com/v1"), ("global", "https://api.openai.com/v1")]
)
def test_a_region_is_an_address_of_openais_service(monkeypatch, region, address):
    session = Session(None, AssistantMagics(data_residency=region), HERE)

    assert session.environment()["OPENAI_BASE_URL"] == address
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example.org/v1")
    assert session.environment()["OPENAI_BASE_URL"] == "https://models.example.org/v1"


@pytest.mark.parametrize(
    ("traits", "environment", "expected"),
    [
        ({}, {}, {"service": "there is no key"}),
        ({}, {"AZURE_OPENAI_AD_TOKEN": "x"}, {"service": "by AZURE_OPENAI_AD_TOKEN"}),
        ({}, {"OPENAI_API_KEY": "x", "CI": "1"}, {"service": "by OPENAI_API_KEY", "mode": "by CI"}),
        ({"service": "local"}, {"CI": "1"}, {"service": "set by hand"}),
        (
            {"model": "m"},
            {"IPYTHON_ASSISTANT_MODE": "live"},
            {"mode": "by IPYTHON_ASSISTANT_MODE", "model": "set by hand"},
        ),
    ],
)
def test_a_setting_says_where_it_comes_from(traits, environment, expected):
    found = origins(AssistantMagics(**traits), environment)

    assert {name: found.get(name) for name in expected} == expected
    assert ("mode" in found) == ("mode" in expected)
