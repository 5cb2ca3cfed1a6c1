"""The stories of the word problems: their sentences, draws of numbers and steps to the answer."""

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from trimtab.data.tasks.word_problems import draws

THINGS = (
    *("pens", "beads", "shells", "apples", "stamps", "marbles", "coins", "buttons", "cards", "ribbons", "candles"),
    *("pears", "figs", "tiles", "bolts", "stickers"),
)

DISTRACTORS = (
    "It is {distractor:q} degrees outside.",
    "The nearest town is {distractor:q} km away.",
    "A poster on the wall is {distractor:q} cm wide.",
    "The radio has played {distractor:q} songs since morning.",
    "Somebody nearby is {distractor:q} years old.",
    "The clock on the wall cost {distractor:q} euros.",
)


class Story(NamedTuple):
    """A story: its sentences (see `writing.pattern`), a draw of its numbers, and its steps, each with an equation `{s=a*b}`.

    The result of the last step is the answer. Every story may use `name` and `other`, `things`, the categories `label` < `second`
    and the indices `day` < `later`, which are drawn for it.
    """

    name: str
    level: int
    text: tuple[str, ...]
    draw: Callable[[Random], dict[str, Any]]
    steps: tuple[str, ...]


STORIES = (
    Story(
        "finds",
        1,
        ("{name} has {a:q} {things} and finds {b:q} more.", "How many {things} does {name} have now?"),
        draws.pair(2, 99, 2, 99),
        ("{name} has {s=a+b} {things}.",),
    ),
    Story(
        "gives",
        1,
        ("{name} had {a:q} {things} and gave {b:q} of them to {other}.", "How many {things} does {name} keep?"),
        draws.larger_first,
        ("{name} keeps {s=a-b} {things}.",),
    ),
    Story(
        "boxes",
        1,
        ("A box holds {a:q} {things}.", "How many {things} do {b:q} such boxes hold?"),
        draws.pair(2, 40, 2, 20),
        ("They hold {s=a*b} {things}.",),
    ),
    Story(
        "bags",
        1,
        ("{name} puts {a:q} {things} into bags of {b:q}.", "How many bags does {name} fill?"),
        draws.shared,
        ("That is {s=a/b} bags.",),
    ),
    Story(
        "bus",
        1,
        ("Bus {label:c} carries {a:q} people, and {b:q} more get on.", "How many people ride on bus {label:c} now?"),
        draws.pair(2, 60, 2, 60),
        ("Now {s=a+b} people ride.",),
    ),
    Story(
        "taller",
        1,
        (
            "The mast of boat {label:c} is {a:q} m high, that of boat {second:c} {b:q} m.",
            "How many metres higher is the first?",
        ),
        draws.larger_first,
        ("It is {s=a-b} m higher.",),
    ),
    Story(
        "walks",
        1,
        ("On day {day:i} {name} walks {a:q} km, and on day {later:i} {b:q} km.", "How many km is that on both days?"),
        draws.pair(2, 60, 2, 60),
        ("It is {s=a+b} km.",),
    ),
    Story(
        "trays",
        2,
        ("{name} bakes {a:q} trays of {b:q} buns.", "The neighbours eat {c:q} of the buns.", "How many buns are left?"),
        draws.trays,
        ("{name} bakes {s=a*b} buns.", "Then {t=s-c} are left."),
    ),
    Story(
        "rooms",
        2,
        (
            "Room {label:c} has {a:q} chairs, and room {second:c} has {b:q} more than room {label:c}.",
            "How many chairs do the two rooms have together?",
        ),
        draws.pair(5, 60, 2, 30),
        ("Room {second:c} has {s=a+b} chairs.", "Together that is {t=a+s} chairs."),
    ),
    Story(
        "change",
        2,
        (
            "{name} buys {a:q} {things} at {b:q} euros each and pays with {c:q} euros.",
            "How many euros does {name} get back?",
        ),
        draws.change,
        ("They cost {s=a*b} euros.", "The change is {t=c-s} euros."),
    ),
    Story(
        "pooled",
        2,
        (
            "{name} brings {a:q} {things} and {other} brings {b:q}.",
            "They share all of them equally among {k:q} children.",
            "How many {things} does each child get?",
        ),
        draws.pooled,
        ("Together they bring {s=a+b} {things}.", "Each child gets {t=s/k}."),
    ),
    Story(
        "train",
        2,
        (
            "Train {label:c} travels {a:q} km an hour for {b:q} hours and then another {c:q} km.",
            "How many km does train {label:c} travel?",
        ),
        lambda rng: {"a": draws.whole(rng, 40, 120), "b": draws.whole(rng, 2, 6), "c": draws.whole(rng, 5, 90)},
        ("In the first hours it travels {s=a*b} km.", "In all it travels {t=s+c} km."),
    ),
    Story(
        "pages",
        2,
        (
            "{name} reads {a:q} pages on the {1:o} day and {b:q} times as many on the {2:o} day.",
            "How many pages does {name} read on both days?",
        ),
        draws.pair(4, 60, 2, 6),
        ("On the {2:o} day {name} reads {s=a*b} pages.", "Both days make {t=a+s} pages."),
    ),
    Story(
        "two_prices",
        3,
        (
            "In shop {label:c} {name} buys {a:q} maps at {b:q} euros each and {c:q} lamps at {d:q} euros each.",
            "How many euros does {name} pay?",
        ),
        draws.shop,
        ("The maps cost {s=a*b} euros.", "The lamps cost {t=c*d} euros.", "Together that is {u=s+t} euros."),
    ),
    Story(
        "windows",
        3,
        (
            "House {label:c} has {a:q} floors with {b:q} rooms each, and each room has {c:q} windows.",
            "A storm breaks {d:q} of the windows.",
            "How many windows are whole?",
        ),
        draws.windows,
        ("There are {s=a*b} rooms.", "They have {t=s*c} windows.", "Whole are {u=t-d} windows."),
    ),
    Story(
        "savings",
        3,
        (
            "{name} has {a:q} euros, saves {b:q} euros a week for {c:q} weeks and then spends {d:q} euros.",
            "How many euros does {name} have in the end?",
        ),
        draws.savings,
        (
            "{name} saves {s=b*c} euros.",
            "With the first money that is {t=a+s} euros.",
            "In the end {u=t-d} euros are left.",
        ),
    ),
    Story(
        "bakery",
        3,
        (
            "{name} bakes {a:q} trays of {b:q} rolls and sells {c:q} of them in the morning.",
            "The rest goes into bags of {k:q} rolls.",
            "How many bags are there?",
        ),
        draws.bakery,
        ("There are {s=a*b} rolls.", "After the morning {t=s-c} are left.", "They fill {u=t/k} bags."),
    ),
    Story(
        "lengths",
        3,
        (
            "{name} swims {a:q} lengths on the {1:o} day.",
            "On the {2:o} day it is {b:q} more than on the {1:o}.",
            "On the {3:o} day it is {c:q} times as many as on the {2:o}.",
            "How many lengths are that on the three days?",
        ),
        lambda rng: {"a": draws.whole(rng, 4, 40), "b": draws.whole(rng, 2, 20), "c": draws.whole(rng, 2, 4)},
        (
            "On the {2:o} day it is {s=a+b} lengths.",
            "On the {3:o} day it is {t=s*c} lengths.",
            "The three days make {u=a+s+t} lengths.",
        ),
    ),
    Story(
        "shelves",
        3,
        (
            "Shelf {label:c} holds {a:q} books and shelf {second:c} holds {b:q} times as many.",
            "{name} takes {c:q} books from each of the two shelves.",
            "How many books stand on both shelves now?",
        ),
        lambda rng: {"a": draws.whole(rng, 12, 50), "b": draws.whole(rng, 2, 5), "c": draws.whole(rng, 2, 10)},
        (
            "Shelf {second:c} holds {s=a*b} books.",
            "Both hold {t=a+s} books.",
            "{name} takes {u=2*c} books.",
            "Now {v=t-u} books stand there.",
        ),
    ),
    Story(
        "coats",
        4,
        (
            "A coat in shop {label:c} costs {a:q} euros, and today it is {p:q}% cheaper.",
            "{name} buys {b:q} coats at today's price and pays with {c:q} euros.",
            "How many euros does {name} get back?",
        ),
        draws.coats,
        (
            "A coat is {s=a*p/100} euros cheaper.",
            "Today it costs {t=a-s} euros.",
            "The coats cost {u=t*b} euros.",
            "The change is {v=c-u} euros.",
        ),
    ),
    Story(
        "school",
        4,
        (
            "School {label:c} has {a:q} pupils.",
            "Of these, {p:q}% come by bus, half of the others walk, and the rest cycle.",
            "How many pupils cycle?",
        ),
        draws.school,
        ("By bus come {s=a*p/100} pupils.", "The others are {t=a-s} pupils.", "Half of them, {u=t/2} pupils, cycle."),
    ),
    Story(
        "tank",
        4,
        (
            "Tank {label:c} holds {a:q} litres and is {p:q}% full.",
            "A pump adds {b:q} litres a minute for {c:q} minutes.",
            "How many litres are missing until the tank is full?",
        ),
        draws.tank,
        (
            "At first it holds {s=a*p/100} litres.",
            "The pump adds {t=b*c} litres.",
            "Then the tank holds {u=s+t} litres.",
            "Missing are {v=a-u} litres.",
        ),
    ),
    Story(
        "harvest",
        4,
        (
            "{name} picks {a:q} kg of plums on the {1:o} day, {b:q} kg on the {2:o} and {c:q} kg on the {3:o}.",
            "A third of all plums becomes jam, and the rest is sold at {d:q} euros a kg.",
            "How many euros does {name} take in?",
        ),
        draws.harvest,
        (
            "In three days it is {s=a+b+c} kg.",
            "The jam takes {t=s/3} kg.",
            "Sold are {u=s-t} kg.",
            "That brings {v=u*d} euros.",
        ),
    ),
    Story(
        "stops",
        4,
        (
            "Bus {label:c} sets out with {a:q} people.",
            "At the {1:o} stop a quarter of them get off and {b:q} people get on.",
            "At the {2:o} stop half of those on board get off.",
            "How many people stay on the bus?",
        ),
        draws.stops,
        (
            "At the {1:o} stop {s=a/4} people get off.",
            "That leaves {t=a-s} people.",
            "With the new ones there are {u=t+b} people.",
            "Half of them stay: {v=u/2} people.",
        ),
    ),
    Story(
        "wages",
        4,
        (
            "{name} works {a:q} hours a day at {b:q} euros an hour for {c:q} days.",
            "Of all the pay {p:q}% goes to taxes.",
            "How many euros does {name} keep?",
        ),
        draws.wages,
        (
            "A day brings {s=a*b} euros.",
            "All days bring {t=s*c} euros.",
            "The taxes take {u=t*p/100} euros.",
            "{name} keeps {v=t-u} euros.",
        ),
    ),
)
