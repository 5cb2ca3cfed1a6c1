"""The answer of each story, computed independently from the quantities of its prompt in their order."""

from fractions import Fraction as F

BY_HAND = {
    "finds": lambda a, b: a + b,
    "gives": lambda a, b: a - b,
    "boxes": lambda a, b: sum([a] * b),
    "bags": lambda a, b: F(a, b),
    "bus": lambda a, b: b + a,
    "taller": lambda a, b: -(b - a),
    "walks": lambda a, b: b + a,
    "trays": lambda a, b, c: -c + sum([b] * a),
    "rooms": lambda a, b: 2 * a + b,
    "change": lambda a, b, c: c - sum([b] * a),
    "pooled": lambda a, b, k: F(a + b, k),
    "train": lambda a, b, c: sum([a] * b, c),
    "pages": lambda a, b: a * (1 + b),
    "two_prices": lambda a, b, c, d: sum([b] * a + [d] * c),
    "windows": lambda a, b, c, d: sum(c for _ in range(a) for _ in range(b)) - d,
    "savings": lambda a, b, c, d: a - d + sum([b] * c),
    "bakery": lambda a, b, c, k: F(a * b - c, k),
    "lengths": lambda a, b, c: a + (a + b) * (1 + c),
    "shelves": lambda a, b, c: (a - c) + (a * b - c),
    "coats": lambda a, p, b, c: c - b * a * (1 - F(p, 100)),
    "school": lambda a, p: a * (1 - F(p, 100)) / 2,
    "tank": lambda a, p, b, c: a * (1 - F(p, 100)) - b * c,
    "harvest": lambda a, b, c, d: (a + b + c) * F(2, 3) * d,
    "stops": lambda a, b: (a * F(3, 4) + b) / 2,
    "wages": lambda a, b, c, p: a * b * c * (1 - F(p, 100)),
}
