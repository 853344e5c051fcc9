"""Settings of a program: one frozen dataclass gives the options, their variables, their checks and the docs' table.

A field is written as Typer reads a parameter: `name: Annotated[type, typer.Option(envvar=…, help=…)] = default`.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar, cast, get_type_hints

import typer

from common.cli import usage_message
from common.errors import SettingError

T = TypeVar("T")


def takes_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Replace a command's parameter `settings` by options, one for each field of its class."""
    cls = command.__annotations__["settings"]
    options, parameters, annotations = option_parameters(cls), [], {}
    for parameter in inspect.signature(command).parameters.values():
        for option in options if parameter.name == "settings" else [parameter]:
            parameters.append(option.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            annotations[option.name] = option.annotation

    @wraps(command)
    def run(**values: Any) -> Any:
        chosen = {}
        for option in options:
            chosen[option.name] = values.pop(option.name)
        return command(settings=cls(**chosen), **values)

    cast(Any, run).__signature__ = inspect.Signature(parameters)
    run.__annotations__ = annotations
    return run


def option_parameters(cls: Any) -> list[inspect.Parameter]:
    """Return the fields of a settings class as parameters, each with Typer's description and its default."""
    types, parameters = get_type_hints(cls, include_extras=True), []
    for field in fields(cls):
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter(field.name, kind, default=field.default, annotation=types[field.name]))
    return parameters


def read_settings(cls: type[T], environ: Mapping[str, str]) -> T:
    """Build settings from variables alone; a variable that is missing or empty has the default.

    Raises:
        SettingError: a value is wrong: names the variable, the value and what it takes.
    """

    def build(settings: T) -> T:
        return settings

    build.__annotations__["settings"] = cls
    app = typer.Typer(add_completion=False)
    app.command()(takes_settings(build))
    command, values = typer.main.get_command(app), {}
    context = command.context_class(command)
    for parameter in command.params:
        if text := environ.get(str(parameter.envvar), "").strip():
            try:
                values[str(parameter.name)] = parameter.process_value(context, text)
            except typer.BadParameter as error:
                raise SettingError(usage_message(error)) from None
    return cls(**values)


def as_environ(settings: Any) -> dict[str, str]:
    """Return settings as variables, from which `read_settings` builds the same ones in another process."""
    environ = {}
    for parameter in option_parameters(type(settings)):
        value = getattr(settings, parameter.name)
        environ[parameter.annotation.__metadata__[0].envvar] = "" if value is None else str(value)
    return environ
