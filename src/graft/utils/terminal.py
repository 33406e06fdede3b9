"""Text from elsewhere, such as a file's name, on a terminal."""


def printable(text: str, longest: int = 10_000) -> str:
    """Escape what would steer a terminal, and shorten what has more than `longest` characters.

    >>> printable("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    >>> printable("abcdef", 4)
    'abc…'
    """
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return escaped if len(escaped) <= longest else f"{escaped[: longest - 1]}…"
