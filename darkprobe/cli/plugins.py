"""Files of the user's own that add metrics, methods, models or data before a command runs."""

import sys
from pathlib import Path


def load_plugins(files: list[Path]) -> None:
    """Runs each Python file once, as a module of its own; what it registers is there for the command.

    Raises:
        InvalidValueError: no such file, or it is no Python file.
        DataError: the file raised an error.
    """
    import importlib.util

    from darkprobe.errors import DarkprobeError, DataError, InvalidValueError

    for file in files:
        if file.suffix != ".py" or not file.is_file():
            raise InvalidValueError(
                f"--plugin must be a Python file, got {str(file)!r}. Give a file that calls e.g. register_metric."
            )
        name = f"darkprobe_plugin_{file.stem}"
        spec = importlib.util.spec_from_file_location(name, file)
        if name in sys.modules or spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except DarkprobeError:
            del sys.modules[name]
            raise
        except Exception as error:
            del sys.modules[name]
            raise DataError(
                f"--plugin: {file} must run without an error, got {type(error).__name__}: {error}. "
                f"Try it alone: python {file}."
            ) from error
