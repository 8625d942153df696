"""`python -m examples.demo`: run the demo and say where its report lies."""

import argparse
import signal
import sys
from pathlib import Path

from rich.console import Console

from cluster.domain.jobs import JobState
from examples.demo.run import run_demo
from examples.demo.scenarios import BundledScenario, RecordedScenario, Scenario
from examples.demo.service import ServiceFailed
from examples.demo.summary import print_summary
from serve_apps.client import ClientError


def main() -> int:
    """Run the demo; 0 where every job was completed."""
    arguments = _parser().parse_args()
    # Asked to end, the demo ends its processes as it does at Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    try:
        run = run_demo(_scenario(arguments), arguments.out, arguments.seed, console)
    except (ServiceFailed, ClientError) as error:
        console.print(f"[bold red]the demo failed:[/bold red] {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    print_summary(run, console)
    console.print(f"report: {(arguments.out / 'report.html').resolve()}", soft_wrap=True)
    return 0 if all(job.state == JobState.COMPLETED for job in run.jobs) else 1


def _scenario(arguments: argparse.Namespace) -> Scenario:
    if arguments.data is None:
        return BundledScenario(arguments.seed)
    goal, items_max = arguments.target_accuracy, arguments.items_max
    return RecordedScenario(arguments.data, items_max, goal, arguments.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder of recorded answers to replay instead")
    parser.add_argument("--out", type=Path, default=Path("var/demo"), help="where results go")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--items-max", type=int, default=1_000, help="at most so many recorded items"
    )
    parser.add_argument(
        "--target-accuracy", type=float, default=0.9, help="the goal for recorded items"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
