"""The one exception a user is shown: a single line, never a stack trace."""


class LogsluiceError(Exception):
    """A mistake or a fault that the user can act on.

    Rendered as ``where: what (why); hint``; the command line prints that line and exits with 1.

    Args:
        what: What is wrong, as a short clause.
        where: The file, entry, host or topic it is about.
        why: The cause, where it is known.
        hint: What the user can do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, hint: str | None = None) -> None:
        self.what, self.where, self.why, self.hint = what, where, why, hint
        line = f"{where}: {what}" if where else what
        if why:
            line += f" ({why})"
        if hint:
            line += f"; {hint}"
        super().__init__(" ".join(line.split()))
