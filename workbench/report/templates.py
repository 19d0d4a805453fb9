"""The report's pages: templates of this folder, with one style, filled in; whatever is missing is an error."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def filled(template: str, **values: Any) -> str:
    """The page; texts are escaped, and a value that the template names and nobody gave raises `UndefinedError`."""
    loader = PackageLoader("workbench.report", ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(**values)
