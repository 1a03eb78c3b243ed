"""config: where each setting comes from."""

from pathlib import Path

import pytest
from tests_support.cases import cases, told
from traitlets import TraitError

from ipython_assistant.config import AssistantMagics, freeze
from ipython_assistant.errors import ConfigError
from ipython_assistant.options import Options

HERE = Path("/notebooks")


def settings(traits=None, environment=None, **options):
    return freeze(traits or AssistantMagics(), Options(**options), HERE, environment or {})


LOCAL = {"OPENAI_API_KEY": "x", "IPYTHON_ASSISTANT_SERVICE": "local", "IPYTHON_ASSISTANT_MODE": "live"}
THEIRS = {"OPENAI_API_KEY": "x", "IPYTHON_ASSISTANT_SERVICE": "openai", "IPYTHON_ASSISTANT_MODEL": "theirs"}


@cases(("traits", "environment", "options", "expected"), {
    "without a key the embedded engine answers": (
        {}, {}, {}, {"service": "local", "model": "", "save_dir": HERE / "assistant_files"}),
    "a key means the hosted service": ({}, {"OPENAI_API_KEY": "x"}, {}, {"service": "openai"}),
    "the environment can force the engine": ({}, LOCAL, {}, {"service": "local", "mode": "live"}),
    "a trait beats the environment": (
        {"service": "local", "model": "mine"}, THEIRS, {}, {"service": "local", "model": "mine"}),
    "the cell's option beats all": (
        {"model": "mine", "save_dir": "there"}, THEIRS, {"model": "this", "directory": "here"},
        {"model": "this", "save_dir": HERE / "here"}),
})  # fmt: skip
def test_a_setting_comes_from_the_nearest_place(traits, environment, options, expected):
    frozen = settings(AssistantMagics(**traits), environment, **options)
    assert {name: getattr(frozen, name) for name in expected} == expected


def test_a_wrong_value_is_refused_where_it_is_set_and_the_right_ones_are_listed():
    with told(ConfigError, cure="Set it to one of: openai, azure, local."):
        settings(environment={"IPYTHON_ASSISTANT_SERVICE": "opnai"})
    assert AssistantMagics(expires_after=20).expires_after == 20
    for wrong in ({"service": "opnai"}, {"expires_after": 21}):
        with pytest.raises(TraitError):
            AssistantMagics(**wrong)


def test_no_trait_can_hold_a_key_and_every_trait_has_help():
    traits = AssistantMagics.class_traits(config=True)
    assert not [name for name in traits if name.endswith(("key", "token", "secret"))]
    assert all(trait.help for trait in traits.values())
