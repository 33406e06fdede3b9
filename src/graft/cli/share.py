"""`graft share`: give a team what was computed, and prove that a fresh clone computes nothing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.cli.repository import Root, opened

if TYPE_CHECKING:
    from graft.sharing.clone_check import Proof
    from graft.sharing.transfer import Transferred

Name = Annotated[str | None, typer.Option("--remote", help="A DVC remote; else the default one.")]
Verify = Annotated[
    bool, typer.Option("--verify", help="Read the remote's objects in full, and compare md5s.")
]

app = typer.Typer(no_args_is_help=True, help="Share what was computed, so that nobody computes it again.")


@app.command()
def push(remote: Name = None, root: Root = Path(), verify: Verify = False) -> None:
    """Push the data of all commits and of the work tree, and the run-cache; then prove as `status` does."""
    from graft.sharing.clone_check import prove
    from graft.sharing.remote import open_remote, require_writable
    from graft.sharing.transfer import push_everything

    with opened(root) as repo:
        target = open_remote(repo, remote)
        require_writable(target)
        typer.echo(f"pushed {_count(push_everything(repo, target, verify))} to {target.describe()}")
        _report(prove(repo, target, verify), "run `dvc repro`, commit, and `graft share push` again")


@app.command()
def status(remote: Name = None, root: Root = Path(), verify: Verify = False) -> None:
    """Say what a fresh clone of HEAD would still have to compute. Fails unless that is nothing."""
    from graft.sharing.clone_check import prove
    from graft.sharing.remote import open_remote

    with opened(root) as repo:
        _report(prove(repo, open_remote(repo, remote), verify), "run `graft share push`")


@app.command()
def pull(remote: Name = None, root: Root = Path()) -> None:
    """Pull the data of this checkout and the run-cache, verified; then say what `dvc repro` would run."""
    from graft.sharing.remote import open_remote
    from graft.sharing.transfer import pull_everything

    with opened(root) as repo:
        source = open_remote(repo, remote)
        typer.echo(f"pulled {_count(pull_everything(repo, source))} from {source.describe()}")
    with opened(root) as repo:
        changed = [stage.rpartition(":")[2] for stage in repo.status()]
    typer.echo(
        f"`dvc repro` runs {', '.join(changed)} and what follows" if changed else "`dvc repro` runs no stage"
    )


def _report(proof: "Proof", remedy: str) -> None:
    for advice in proof.advice:
        typer.echo(f"note: {advice}")
    if not proof.missing:
        typer.echo("a fresh clone of HEAD has nothing to compute")
        return
    for stage in dict.fromkeys(stage for stage, _ in proof.missing):
        typer.echo(f"{stage}: {', '.join(why for each, why in proof.missing if each == stage)}")
    typer.echo(f"a fresh clone of HEAD would have to compute these: {remedy}", err=True)
    raise typer.Exit(1)


def _count(transferred: "Transferred") -> str:
    size = f"{transferred.size / 1e6:,.1f} MB"
    return f"{transferred.objects:,} objects ({size}) and {transferred.runs:,} run-cache records"
