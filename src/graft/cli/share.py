"""`graft share`: give a team what was computed, and prove that a fresh clone computes nothing."""

from pathlib import Path
from typing import Annotated

import typer

from graft.cli.repository import Root, fail, opened

Name = Annotated[str | None, typer.Option("--remote", help="A DVC remote; else the default one.")]
Verify = Annotated[bool, typer.Option("--verify", help="Read the remote's objects in full; compare md5s.")]

app = typer.Typer(no_args_is_help=True, help="Share what was computed, so that nobody computes it again.")


@app.command()
def push(remote: Name = None, root: Root = Path(), verify: Verify = False) -> None:
    """Push the data of all commits and of the work tree, and the run-cache; then prove as `status` does."""
    from graft.sharing.clone_check import prove
    from graft.sharing.remote import open_remote
    from graft.sharing.transfer import push_everything

    with opened(root) as repo:
        target = open_remote(repo, remote)
        typer.echo(f"pushed {push_everything(repo, target, verify)} to {target}")
        remedy = "run `dvc repro`, commit, and `graft share push` again"
        _report(Path(repo.root_dir), prove(repo, target, verify), remedy)


@app.command()
def status(remote: Name = None, root: Root = Path(), verify: Verify = False) -> None:
    """Say what a fresh clone of HEAD would still have to compute. Fails unless that is nothing."""
    from graft.sharing.clone_check import prove
    from graft.sharing.remote import open_remote

    with opened(root) as repo:
        _report(Path(repo.root_dir), prove(repo, open_remote(repo, remote), verify), "run `graft share push`")


@app.command()
def pull(remote: Name = None, root: Root = Path()) -> None:
    """Pull the data of this checkout and the run-cache, verified; then say what `dvc repro` would run."""
    from graft.sharing.links import choose_links
    from graft.sharing.remote import open_remote
    from graft.sharing.transfer import pull_everything

    with opened(root) as repo:
        choose_links(repo)
    with opened(root) as repo:
        source = open_remote(repo, remote)
        typer.echo(f"pulled {pull_everything(repo, source)} from {source}")
    with opened(root) as repo:
        changed = [stage.rpartition(":")[2] for stage in repo.status()]
    runs = f"{', '.join(changed)} and what follows" if changed else "no stage"
    typer.echo(f"`dvc repro` runs {runs}")


def _report(root: Path, missing: list[tuple[str, str]], remedy: str) -> None:
    from graft.sharing.clone_check import advise

    for advice in advise(root):
        typer.echo(f"note: {advice}")
    if not missing:
        typer.echo("a fresh clone of HEAD has nothing to compute")
        return
    for stage in dict.fromkeys(stage for stage, _ in missing):
        typer.echo(f"{stage}: {', '.join(why for each, why in missing if each == stage)}")
    fail(f"a fresh clone of HEAD would have to compute these: {remedy}")
