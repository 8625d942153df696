"""The two things the demo can show: its own two jobs with a simulated crowd, or a recorded set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from examples.demo.crew import Crew
from examples.demo.crowd import REVIEWER_SKILL, Codes, Deck, staff
from examples.demo.crowd_process import hire_simulated
from examples.demo.dataset import DemoDataset
from examples.demo.decks import digits_deck, tickets_deck
from examples.demo.digits import load_digits
from examples.demo.measure import fixed_redundancy, simulated_votes
from examples.demo.recorded import Recording, load_recorded
from examples.demo.replay_process import CLAIM_ITEMS, WORKER_PRICE, hire_recorded
from examples.demo.run_data import FixedRedundancy
from examples.demo.tickets import load_tickets
from serve_apps.client import MusterClient
from serve_apps.gateway.schemas.job_request import BudgetBody, CrowdBody, GoalBody

REDUNDANCIES = (3, 5)
"""The fixed numbers of answers for every item that the demo compares itself with."""

LEASE_TTL_S = 8.0
"""Short, so that what vanishing workers hold comes back while the demo runs."""

RECORDED_DEADLINE_S = 150.0
"""A recorded crowd can run dry; its job ends here with what it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One job to submit, and for whom."""

    tenant: str
    dataset: DemoDataset
    goal: GoalBody
    crowd: CrowdBody
    budget: BudgetBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a fixed number of answers for every item would have done; `by` says how it is known."""

    fixed: tuple[FixedRedundancy, ...]
    by: str


class Scenario(Protocol):
    """What is labelled, by whom, and what it is compared with."""

    @property
    def input_note(self) -> str:
        """Where the items come from, in one sentence."""
        ...

    @property
    def crowd_note(self) -> str:
        """Who the crowd is, in one sentence."""
        ...

    @property
    def settings(self) -> Mapping[str, str]:
        """Environment variables for the service beside the demo's usual ones."""
        ...

    @property
    def orders(self) -> tuple[Order, ...]:
        """The jobs, all submitted at once."""
        ...

    def hire(self, client: MusterClient, url: str, key: str, folder: Path) -> Crew:
        """Register the crowd with the service and describe its processes."""
        ...

    def comparisons(self) -> tuple[Comparison, ...]:
        """Return what fixed redundancy would do for each order."""
        ...


class BundledScenario:
    """Digits and tickets for two tenants, labelled by a simulated crowd of mixed quality."""

    input_note = "The digits are real; the tickets were written for this demo."
    crowd_note = (
        "The crowd is simulated, in separate processes over HTTP: good, average, sloppy and biased "
        "workers, two spammers, slow ones and some who claim and never answer. Three reviewers do "
        "nothing but the audit."
    )
    settings: Mapping[str, str] = {}

    def __init__(self, seed: int) -> None:
        self._seed = seed
        digits, tickets = load_digits(), load_tickets()
        self._decks: tuple[Deck, ...] = (digits_deck(digits), tickets_deck(tickets, seed))
        self.orders = (
            _bundled_order("acme-images", digits, goal=0.95),
            _bundled_order("brightdesk-support", tickets, goal=0.92),
        )

    def hire(self, client: MusterClient, url: str, key: str, folder: Path) -> Crew:
        """Register the simulated workers."""
        return hire_simulated(client, url, key, self._decks, self._seed, folder)

    def comparisons(self) -> tuple[Comparison, ...]:
        """Return the majority of the very workers who were hired, drawn at random."""
        crowd = staff()
        price = float(np.mean([traits.price for traits in crowd if traits.persona.labels]))
        by = (
            "Fixed redundancy is simulated: a majority of workers drawn at random from the same "
            "crowd, with the answers they would have given, at their mean price, without an audit."
        )
        return tuple(
            Comparison(
                fixed=_fixed(
                    simulated_votes(crowd, deck, number, self._seed), deck.truth, price, self._seed
                ),
                by=by,
            )
            for number, deck in enumerate(self._decks)
        )


class RecordedScenario:
    """A folder of recorded answers, replayed by the workers who gave them."""

    crowd_note = (
        "The crowd is recorded: every worker of the data set registers, and gives exactly the "
        "answers they once gave, as far as the service asks for them."
    )
    settings: Mapping[str, str] = {
        "MUSTER_LIMITS__CLAIM_MAX": str(CLAIM_ITEMS),
        "MUSTER_ALLOCATOR__LEASES_PER_WORKER_MAX": str(CLAIM_ITEMS),
    }

    def __init__(self, folder: Path, items_max: int, goal: float, seed: int) -> None:
        self._seed = seed
        dataset, self._recording = load_recorded(folder, items_max, seed)
        self.input_note = f"The items and answers are those recorded in {dataset.name}."
        self.orders = (_recorded_order(dataset, self._recording, goal),)

    def hire(self, client: MusterClient, url: str, key: str, folder: Path) -> Crew:
        """Register the recorded workers."""
        return hire_recorded(client, url, key, self._recording, self._seed, folder)

    def comparisons(self) -> tuple[Comparison, ...]:
        """Return the majority of recorded answers drawn at random, on items of known truth."""
        recording = self._recording
        known = recording.truth >= 0
        votes, truth = recording.votes()[:, known], recording.truth[known]
        by = (
            "Fixed redundancy is the majority of recorded answers drawn at random, all there are "
            "where an item has fewer, without an audit."
        )
        return (Comparison(fixed=_fixed(votes, truth, WORKER_PRICE, self._seed), by=by),)


def _bundled_order(tenant: str, dataset: DemoDataset, goal: float) -> Order:
    return Order(
        tenant=tenant,
        dataset=dataset,
        goal=GoalBody(accuracy=goal),
        crowd=CrowdBody(
            audit_skills=[REVIEWER_SKILL],
            audit_share=0.08,
            audit_items_min=100,
            audit_answers_max=1,
            lease_ttl_s=LEASE_TTL_S,
            instructions=dataset.instructions,
        ),
        budget=BudgetBody(),
    )


def _recorded_order(dataset: DemoDataset, recording: Recording, goal: float) -> Order:
    """Ask no more of an item than nearly all of them can give, one audit answer included."""
    usual = int(np.quantile(recording.answers_per_item(), 0.1))
    return Order(
        tenant="recorded",
        dataset=dataset,
        goal=GoalBody(accuracy=goal),
        crowd=CrowdBody(
            answers_per_item_max=max(1, usual - 1),
            audit_share=0.15,
            audit_items_min=100,
            audit_answers_max=1,
            lease_ttl_s=30.0,
            instructions=dataset.instructions,
        ),
        budget=BudgetBody(deadline_s=RECORDED_DEADLINE_S),
    )


def _fixed(votes: Codes, truth: Codes, price: float, seed: int) -> tuple[FixedRedundancy, ...]:
    return tuple(
        fixed_redundancy(votes, truth, redundancy, price, seed) for redundancy in REDUNDANCIES
    )
