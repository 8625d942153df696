"""The report is one page that shows a run and needs nothing else."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from examples.demo.report import headline, render, write_report
from examples.demo.run_data import DemoRun, load_run
from tests.unit.examples.synthetic_run import synthetic_run


@pytest.fixture(scope="module")
def run() -> DemoRun:
    return synthetic_run()


@pytest.fixture(scope="module")
def page(run: DemoRun) -> str:
    return render(run)


def test_run_data_survives_its_file(run: DemoRun, tmp_path: Path) -> None:
    run.save(tmp_path / "run.json")
    assert load_run(tmp_path / "run.json") == run


def test_the_headline_counts_items_and_answers(run: DemoRun) -> None:
    assert headline(run) == "2,277 items labelled, 96.2 % of them right, for 1.67 answers each"


def test_the_page_refers_to_no_other_place(page: str) -> None:
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!#|data:,)[^"]*"', page)
    assert "url(" not in page.replace("url(#", "")
    assert "@import" not in page


def test_every_plot_is_well_formed_named_and_described(page: str) -> None:
    plots = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(plots) == 6
    for plot in plots:
        root = ET.fromstring(plot)  # noqa: S314 - our own page
        title, description = root[0], root[1]
        assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert title.text
        assert description.text


def test_ids_are_unique(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_plots_take_their_colours_from_the_page(page: str) -> None:
    assert not re.findall(r"#0[0-9a-b]0[0-9a-b]0[0-9]", page)
    assert "var(--series-1)" in page


def test_text_from_outside_is_escaped(page: str) -> None:
    assert "<and>" not in page
    assert "&lt;and&gt;" in page


def test_a_run_that_knows_little_is_drawn_too(run: DemoRun, tmp_path: Path) -> None:
    job = replace(
        run.jobs[0],
        overall=replace(run.jobs[0].overall, accuracy=None),
        certificate=(),
        fixed=(),
        reliability=(),
        samples=(),
        spans=(),
        events=(),
    )
    write_report(replace(run, jobs=(job,), workers=()), tmp_path / "report.html")
    assert "one tenant" in (tmp_path / "report.html").read_text("utf-8")
