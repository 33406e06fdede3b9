"""`python -m graft.cli`: `graft` where it is not installed, such as in a container."""

from graft.cli.main import app

app()
