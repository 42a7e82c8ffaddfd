"""`darkprobe methods list | show`: the catalogue of methods, read from their records."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from darkprobe.distill.methods import Method

app = typer.Typer(
    name="methods", help="Ways to learn from a teacher: formulas, conventions, sources.", no_args_is_help=True
)


@app.command("list")
def list_methods(
    pattern: str = typer.Argument("*", help="Shell pattern on names, e.g. 'isats*'."),
    kind: str = typer.Option("", "--kind", help="Only target, loss, feature, teacher or schedule."),
) -> None:
    """Prints every method with what it acts on, its parameters and their defaults."""
    from rich.table import Table

    from darkprobe.distill.methods import METHODS

    table = Table(title=None)
    for heading in ("method", "acts on", "what it does", "parameters (default)", "certainty"):
        table.add_column(heading, no_wrap=heading == "method")
    for name in METHODS.match(pattern):
        method = METHODS[name]
        if kind in ("", method.kind):
            settings = ", ".join(f"{parameter.name}={parameter.default}" for parameter in method.parameters)
            table.add_row(name, method.kind, method.summary, settings, method.certainty)
    _console().print(table)


@app.command("show")
def show_method(
    name: str = typer.Argument(..., help="A name from `methods list`, or several joined by +, e.g. wttm+crd."),
) -> None:
    """Prints a method in full: formula, convention, parameters with the paper's values, source, certainty."""
    from darkprobe.distill.methods import resolve_method

    for method in resolve_method(name).parts:
        _print_method(method)


def _print_method(method: "Method") -> None:
    from rich.table import Table

    convention = method.convention
    weights = f"; default cross-entropy {method.ce_weight:g}, teacher {method.teacher_weight:g}"
    facts = {
        "method": method.name,
        "acts on": method.kind,
        "what it does": method.summary,
        "teacher term": method.formula,
        "reduction": convention.reduction,
        "temperature factor": convention.factor,
        "weights": convention.alpha + ("" if method.kind == "schedule" else weights),
        "student temperature": convention.student_temperature,
        "computed": _how_computed(method),
        "needs": _needs(method),
        "mixed images": "no: it asks for the one label of an example" if method.one_label else "yes",
        "sparse stores": _sparse(method),
        "command": f"darkprobe distill --method {_command(method)}",
        "source": method.source,
        "certainty": method.certainty,
        "note": method.note or "-",
    }
    console = _console()
    grid = Table.grid(padding=(0, 2))
    for key, value in facts.items():
        grid.add_row(f"[bold]{key}[/bold]", value.replace("[", "\\["))
    console.print(grid)
    if method.parameters:
        table = Table("parameter", "default", "allowed", "the source's values", "meaning")
        for parameter in method.parameters:
            allowed = " | ".join(parameter.choices) or f"{parameter.low:g} to {parameter.high:g}"
            table.add_row(parameter.name, str(parameter.default), allowed, parameter.paper or "-", parameter.meaning)
        console.print(table)


def _console() -> "Console":
    """The terminal; a pipe has no width and gets what the tables need."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=160)


def _needs(method: "Method") -> str:
    """What must be given besides the student."""
    if method.teacherless:
        return "no teacher"
    words = {
        "others": "two teachers or more",
        "other": "two teachers, the second one's wrong classes are taken",
        "head_weight": "a teacher whose last layer is linear",
    }
    special = {
        "crd-multi": "two teachers or more",
        "generations": "no teacher",
        "dgkd": "a teacher or several",
        "sckd": "a teacher or several",
    }
    return ", ".join(words[name] for name in method.needs) or special.get(method.name, "a teacher")


def _sparse(method: "Method") -> str:
    if method.kind in ("feature", "schedule") or method.teacherless:
        return "as the method on logits beside it" if not method.teacherless else "not looked at"
    if method.single_temperature:
        return "yes, at a declared temperature, the tail spread evenly"
    return "no: it looks at every class or at several temperatures"


def _command(method: "Method") -> str:
    assistants = {
        "takd": " --assistant ARCHITECTURE ...",
        "dgkd": " [--assistant ARCHITECTURE ...]",
        "reskd": " --assistant ARCHITECTURE ...",
    }
    if method.name == "eskd":
        return "kd, from a teacher of `darkprobe zoo train --recipe early0.25`"
    joined = f"{method.name}+{method.step}" if method.step else method.name
    return joined + assistants.get(method.name, "")


def _how_computed(method: "Method") -> str:
    if method.kind == "schedule":
        return f"by darkprobe.distill.schedules.{getattr(method.schedule, '__name__', '')}"
    if method.feature is not None:
        return "from inner features, in training"
    if method.target is not None:
        return "once, before training, from stored logits" + (" (or live)" if method.loss is not None else "")
    if method.kind == "teacher":
        return "in training, from the network's own logits"
    return "in training, from the student's and the teacher's logits"
