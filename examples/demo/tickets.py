"""480 support tickets in 12 intents, written by hand for this demo.

No customer wrote them: BrightDesk, which sells smart desk lamps and a subscription around them,
does not exist. They are meant to be as varied as a real inbox: long and short, polite and rude,
with typos, slang, other languages and beside-the-point stories. About one in six has two intents
at once; those carry the second in `also`, and `intent` is the one its author had in mind.
"""

import json
from importlib.resources import files

from cluster.domain.labels import Label, LabelSet
from examples.demo.dataset import DemoDataset, DemoItem

INTENTS = LabelSet(
    (
        Label("delivery_status", "Where is my parcel? An order has not arrived or is late."),
        Label("return_refund", "Send a product back, exchange it, or get the money back for it."),
        Label("damaged_or_faulty", "Arrived broken, wrong or incomplete, or hardware has failed."),
        Label("billing", "A charge, a payment, an invoice or tax."),
        Label("cancel_subscription", "Cancel or end a subscription, membership or trial."),
        Label("change_plan", "Upgrade, downgrade or switch the plan; add or remove seats."),
        Label("login_access", "Cannot log in: password, code, locked account, access rights."),
        Label("app_problem", "The app or website crashes, is slow or behaves wrongly."),
        Label("device_setup", "Install, mount, pair or connect a lamp to wifi or an assistant."),
        Label("change_order", "Change or stop an order before delivery: address, item, quantity."),
        Label("privacy_data", "Personal data: delete, export or protect it; consent; security."),
        Label("product_question", "A question before buying: features, compatibility, stock."),
    )
)


def load_tickets() -> DemoDataset:
    """Return the tickets as a text job for the packaged MiniLM encoder."""
    lines = files("examples.demo").joinpath("tickets.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return DemoDataset(
        name="support-intents",
        title="Support tickets",
        modality="text",
        label_set=INTENTS,
        items=tuple(
            DemoItem(
                item_id=row["id"], content=row["text"], gold=row["intent"], also=row.get("also")
            )
            for row in rows
        ),
        instructions="Pick the one intent the customer most wants to be dealt with.",
        base_model="minilm",
    )
