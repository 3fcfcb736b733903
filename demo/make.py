#!/usr/bin/env python3
"""Makes the demo files: products.csv, customers.csv and events.csv, beside this script.

    python3 demo/make.py            writes the files
    python3 demo/make.py --check    writes nothing; fails when the files differ from what would be written

The output depends on this file alone: one seed, and no random function but `Random.random()`, whose sequence Python
keeps from version to version. Times are days before now, so the demo never grows old.

Two shops share one catalogue. In the telephone company nearly everything hangs on the local line; in the kitchen shop
most customers come with a mission (toast, tea, coffee, baking, knives) and come back for what goes with it. The named
customers, which the README tours, are written by hand in `named_customers`.
"""

import csv
import io
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).parent
CUSTOMERS = 300
# Nothing is newer than this, so that a history is whole whatever the hour of the day.
NEWEST = 0.2

PRODUCT_COLUMNS = (
    "product_id title category price currency margin ladder tier features requires excludes compatible_with "
    "repeatable available_from available_until"
).split()
CUSTOMER_COLUMNS = "customer_id segment region contract household".split()
# `to_product_id` belongs to downgrades, `allowance` to usage; what was used stands under `quantity`.
EVENT_COLUMNS = (
    "event_id customer_id kind time product_id order_id quantity unit_price currency case_id severity score score_max "
    "to_product_id allowance"
).split()


# ---------------------------------------------------------------------------------------------------------------------
# The catalogue.

CALLING = "Telephone > Calling features"
LONG_DISTANCE = "Telephone > Long distance"
DIRECTORY = "Telephone > Directory"
CARE = "Telephone > Care plans"
MOBILE = "Telephone > Mobile"
BROADBAND = "Telephone > Broadband"
HANDSETS = "Telephone > Handsets"
TOAST = "Kitchen > Toast and bread"
TABLE = "Kitchen > Table"
TEA = "Kitchen > Tea"
COFFEE = "Kitchen > Coffee"
BAKING = "Kitchen > Baking"
KNIVES = "Kitchen > Knives and boards"

TOASTERS = "toaster-two-slot;toaster-four-slot;toaster-six-slot"
KETTLES = "kettle-1-litre;kettle-family;kettle-temperature"
COFFEE_MAKERS = "coffee-maker;coffee-maker-thermal;coffee-maker-grinder"
STAND_MIXERS = "mixer-stand-small;mixer-stand-large"
MOBILE_PLANS = "mobile-2gb;mobile-5gb;mobile-20gb;mobile-unlimited"
BROADBAND_PLANS = "broadband-50;broadband-200;broadband-1000"


def product(product_id, title, category, price, margin, ladder="", features="", requires="", excludes="", goes="",
            repeatable=False):
    """One row of products.csv; `ladder` is written `toasters/2`, `goes` is what it goes with."""
    ladder, _, tier = ladder.partition("/")
    return {
        "product_id": product_id, "title": title, "category": category, "price": f"{price:.2f}", "currency": "USD",
        "margin": f"{margin:.2f}", "ladder": ladder, "tier": tier, "features": features, "requires": requires,
        "excludes": excludes, "compatible_with": goes, "repeatable": "true" if repeatable else "false",
        "available_from": "", "available_until": "",
    }


PRODUCTS = [
    # The telephone company. Prices are a month's; margins are high, for the network is paid for already.
    product("local-line", "Local line", "Telephone > Lines", 24.95, 9.00),
    product("voice-mail", "Voice mail", CALLING, 6.95, 6.10, requires="local-line"),
    product("call-waiting", "Call waiting", CALLING, 4.95, 4.40, requires="local-line"),
    product("caller-id", "Caller ID", CALLING, 5.95, 5.20, requires="local-line"),
    product("three-way-calling", "Three-way calling", CALLING, 3.95, 3.50, requires="local-line"),
    product("call-forwarding", "Call forwarding", CALLING, 3.95, 3.50, requires="local-line"),
    product("call-blocking", "Nuisance call blocking", CALLING, 4.95, 4.30, requires="local-line"),
    product("long-distance", "Long distance, 300 minutes", LONG_DISTANCE, 9.95, 5.50, "long-distance/1",
            "minutes=300", requires="local-line"),
    product("long-distance-unlimited", "Long distance without limit", LONG_DISTANCE, 19.95, 10.50, "long-distance/2",
            "minutes=5000", requires="local-line"),
    product("international", "International calls", LONG_DISTANCE, 7.95, 3.90, requires="local-line"),
    product("line-protection", "Line protection", CARE, 5.45, 4.10, "line-protection/1", "visits_a_year=1",
            requires="local-line"),
    product("line-protection-plus", "Line protection plus", CARE, 8.95, 6.60, "line-protection/2",
            "visits_a_year=4;same_day=true", requires="local-line"),
    product("unlisted-number", "Unlisted number", DIRECTORY, 2.95, 2.80, requires="local-line",
            excludes="directory-listing"),
    product("directory-listing", "Bold directory listing", DIRECTORY, 3.45, 3.00, requires="local-line",
            excludes="unlisted-number"),
    product("cordless-phone", "Cordless phone", HANDSETS, 39.95, 11.00, "cordless-phones/1", "handsets=1",
            goes="local-line"),
    product("cordless-phone-duo", "Cordless phones, pair with answering base", HANDSETS, 69.95, 21.00,
            "cordless-phones/2", "handsets=2;hands_free=true", goes="local-line"),
    product("mobile-2gb", "Mobile 2 GB", MOBILE, 15.00, 6.00, "mobile/1", "gigabytes=2;minutes=300"),
    product("mobile-5gb", "Mobile 5 GB", MOBILE, 25.00, 11.00, "mobile/2", "gigabytes=5;minutes=1000"),
    product("mobile-20gb", "Mobile 20 GB", MOBILE, 40.00, 19.00, "mobile/3",
            "gigabytes=20;minutes=5000;hotspot=true"),
    product("mobile-unlimited", "Mobile without limit", MOBILE, 60.00, 27.00, "mobile/4",
            "gigabytes=200;minutes=5000;hotspot=true;roaming=true"),
    product("mobile-protection", "Phone protection", CARE, 6.95, 3.80, goes=MOBILE_PLANS),
    product("roaming-pack", "Roaming pack", MOBILE, 9.95, 5.00, goes="mobile-2gb;mobile-5gb;mobile-20gb",
            excludes="mobile-unlimited", repeatable=True),
    product("broadband-50", "Broadband 50", BROADBAND, 35.00, 14.00, "broadband/1",
            "megabits_per_second=50;gigabytes=500"),
    product("broadband-200", "Broadband 200", BROADBAND, 50.00, 24.00, "broadband/2",
            "megabits_per_second=200;gigabytes=2000"),
    product("broadband-1000", "Broadband 1000", BROADBAND, 80.00, 41.00, "broadband/3",
            "megabits_per_second=1000;gigabytes=10000;static_address=true"),
    product("mesh-wifi", "Wi-Fi in every room", BROADBAND, 9.95, 6.40, goes=BROADBAND_PLANS),
    # The kitchen shop.
    product("toaster-two-slot", "Two-slot toaster", TOAST, 29.95, 9.00, "toasters/1", "slots=2;bagel=false"),
    product("toaster-four-slot", "Four-slot toaster with wide bagel slots", TOAST, 59.95, 22.00, "toasters/2",
            "slots=4;bagel=true"),
    product("toaster-six-slot", "Six-slot toaster with countdown", TOAST, 139.95, 52.00, "toasters/3",
            "slots=6;bagel=true;countdown=true"),
    product("crumb-tray", "Crumb tray", TOAST, 7.95, 4.20, goes=TOASTERS),
    product("toaster-tongs", "Toaster tongs", TOAST, 5.95, 3.40, goes=TOASTERS),
    product("bread-knife", "Bread knife", TOAST, 17.95, 8.00, goes=TOASTERS + ";bread-box"),
    product("bread-box", "Bread box", TOAST, 34.95, 14.50, goes=TOASTERS + ";bread-knife"),
    product("bagel-slicer", "Bagel slicer", TOAST, 16.95, 7.40, goes="toaster-four-slot;toaster-six-slot"),
    product("bread-mix", "Bread mix", TOAST, 4.50, 1.60, goes="bread-box", repeatable=True),
    product("toast-rack", "Toast rack", TABLE, 11.95, 5.60, goes=TOASTERS),
    product("butter-dish", "Butter dish", TABLE, 12.95, 6.10, goes=TOASTERS),
    product("honey-jar", "Honey jar with dipper", TABLE, 9.95, 4.80, goes="butter-dish;teapot"),
    product("mug-set", "Set of four mugs", TABLE, 19.95, 9.30, goes="teapot;coffee-maker"),
    product("kettle-1-litre", "One-litre kettle", TEA, 24.95, 7.50, "kettles/1", "litres=1"),
    product("kettle-family", "Family kettle", TEA, 39.95, 13.50, "kettles/2", "litres=1.7"),
    product("kettle-temperature", "Kettle with temperature control", TEA, 79.95, 30.00, "kettles/3",
            "litres=1.7;temperature_control=true;keep_warm=true"),
    product("teapot", "Teapot", TEA, 24.95, 11.00, goes=KETTLES),
    product("tea-infuser", "Tea infuser", TEA, 8.95, 4.90, goes=KETTLES + ";teapot"),
    product("tea-sampler", "Tea sampler", TEA, 12.95, 5.50, goes="teapot;tea-infuser", repeatable=True),
    product("descaler", "Descaler", TEA, 6.95, 3.10, goes=KETTLES + ";" + COFFEE_MAKERS, repeatable=True),
    product("coffee-maker", "Coffee maker", COFFEE, 49.95, 16.00, "coffee-makers/1", "cups=8"),
    product("coffee-maker-thermal", "Coffee maker with thermal jug", COFFEE, 89.95, 33.00, "coffee-makers/2",
            "cups=10;thermal_jug=true"),
    product("coffee-maker-grinder", "Coffee maker with thermal jug and grinder", COFFEE, 179.95, 70.00,
            "coffee-makers/3", "cups=10;thermal_jug=true;grinder=true"),
    product("coffee-grinder", "Coffee grinder", COFFEE, 34.95, 13.00, excludes="coffee-maker-grinder",
            goes="coffee-maker;coffee-maker-thermal"),
    product("coffee-filters", "Coffee filters, 100", COFFEE, 5.95, 2.80, goes=COFFEE_MAKERS, repeatable=True),
    product("coffee-beans", "Coffee beans, one pound", COFFEE, 13.95, 5.20, goes="coffee-grinder;" + COFFEE_MAKERS,
            repeatable=True),
    product("travel-mug", "Travel mug", COFFEE, 17.95, 8.20, goes=COFFEE_MAKERS),
    product("mixer-hand", "Hand mixer", BAKING, 34.95, 11.50, "mixers/1", "watts=250;speeds=5"),
    product("mixer-stand-small", "Stand mixer, 5 quarts", BAKING, 199.95, 72.00, "mixers/2",
            "watts=350;speeds=10;stand=true;quarts=5"),
    product("mixer-stand-large", "Stand mixer, 7 quarts", BAKING, 329.95, 125.00, "mixers/3",
            "watts=600;speeds=11;stand=true;quarts=7"),
    product("dough-hook", "Dough hook", BAKING, 18.95, 8.80, goes=STAND_MIXERS),
    product("pasta-roller", "Pasta roller", BAKING, 69.95, 29.00, goes=STAND_MIXERS),
    product("mixing-bowls", "Set of mixing bowls", BAKING, 29.95, 13.00, goes="mixer-hand;" + STAND_MIXERS),
    product("kitchen-scale", "Kitchen scale", BAKING, 22.95, 9.50, goes="mixing-bowls"),
    product("baking-sheet", "Baking sheet", BAKING, 13.95, 6.00, goes="mixing-bowls", repeatable=True),
    product("chefs-knife", "Chef's knife", KNIVES, 49.95, 20.00),
    product("cutting-board", "Cutting board", KNIVES, 24.95, 11.00, goes="chefs-knife;bread-knife"),
    product("knife-sharpener", "Knife sharpener", KNIVES, 19.95, 8.60, goes="chefs-knife;bread-knife"),
]
PRICES = {row["product_id"]: float(row["price"]) for row in PRODUCTS}


# ---------------------------------------------------------------------------------------------------------------------
# A customer's history. Days count backwards: 0 is now, a larger number is longer ago.


class History:
    """The profile and the events of one customer."""

    def __init__(self, customer_id, segment, region, contract, household):
        self.profile = dict(zip(CUSTOMER_COLUMNS, (customer_id, segment, region, contract, household)))
        self.customer_id = customer_id
        self.events = []
        self.orders = 0
        self.cases = 0

    def add(self, kind, day, **fields):
        if day >= NEWEST:
            self.events.append({"customer_id": self.customer_id, "kind": kind, "time": f"{day:.3f}", **fields})

    def order(self, day, *products, price_share=1.0):
        """Buys some products in one basket and says the order's id."""
        self.orders += 1
        order_id = f"order-{self.customer_id}-{self.orders}"
        for product_id in products:
            self.add("purchase", day, product_id=product_id, order_id=order_id, quantity="1",
                     unit_price=f"{PRICES[product_id] * price_share:.2f}", currency="USD")
        return order_id

    def bring_back(self, day, product_id, order_id):
        self.add("return", day, product_id=product_id, order_id=order_id, quantity="1",
                 unit_price=f"{PRICES[product_id]:.2f}", currency="USD")

    def start(self, day, product_id, every=91.0, until=0.0):
        """Subscribes, and renews as long as the subscription runs."""
        self.add("subscription_start", day, product_id=product_id)
        renewal = day - every
        while renewal > max(until, NEWEST):
            self.add("subscription_renewal", renewal, product_id=product_id)
            renewal -= every

    def end(self, day, product_id):
        self.add("subscription_end", day, product_id=product_id)

    def cancel(self, day, product_id):
        self.add("cancellation", day, product_id=product_id)

    def use(self, day, product_id, amount, allowance=None):
        limits = {} if allowance is None else {"allowance": f"{allowance:g}"}
        self.add("usage", day, product_id=product_id, quantity=f"{amount:.1f}", **limits)

    def case(self, kind, day, severity, resolved=None):
        """A ticket or complaint, and its resolution when there was one."""
        self.cases += 1
        case_id = f"case-{self.customer_id}-{self.cases}"
        self.add(kind, day, case_id=case_id, severity=str(severity))
        if resolved is not None:
            self.add("case_resolved", resolved, case_id=case_id)

    def survey(self, day, score):
        self.add("survey", day, score=str(score), score_max="10")

    def visit(self, day, product_id=""):
        self.add("visit", day, product_id=product_id)

    def visits(self, *days):
        for day in days:
            self.visit(day)


# ---------------------------------------------------------------------------------------------------------------------
# The named customers.


def own_adas_things(history):
    """A local line and caller ID for more than a year, every bill paid."""
    history.start(398, "local-line")
    history.order(396, "cordless-phone")
    history.start(310, "caller-id")
    history.visits(381, 352, 324, 301, 270, 243, 215, 188, 160, 131, 104, 76, 51, 37, 24, 11.5, 4.4)


def own_toms_things(history):
    """A two-slot toaster and what goes with it, bought on many days."""
    history.order(372, "toaster-two-slot", "crumb-tray")
    history.order(338, "bread-knife")
    history.order(291, "butter-dish", "bread-mix")
    history.order(236, "bread-mix")
    history.order(182, "toast-rack", "bread-mix")
    history.order(127, "bread-mix")
    history.order(74, "bread-mix", "toaster-tongs")
    history.order(33, "bread-mix")
    history.visits(350, 312, 264, 209, 155, 101, 60, 47, 21, 14)
    history.visit(8.3, "toaster-four-slot")


def named_customers():
    ada = History("ada-local-line", "household", "north", "annual", "couple")
    own_adas_things(ada)
    ada.case("support_ticket", 262, 1, resolved=261)
    ada.survey(205, 8)
    ada.survey(58, 9)

    tom = History("tom-two-slot", "household", "east", "none", "family")
    own_toms_things(tom)
    tom.survey(330, 9)
    tom.survey(66, 9)

    cora = History("cora-complaint", "household", "north", "annual", "family")
    own_adas_things(cora)
    own_toms_things(cora)
    cora.survey(205, 8)
    cora.survey(66, 9)
    cora.case("complaint", 5, 3)

    newt = History("newt-new", "student", "south", "none", "single")
    newt.order(3, "toaster-two-slot")

    stan = History("stan-strained", "household", "west", "monthly", "single")
    stan.start(385, "local-line")
    stan.start(330, "mobile-5gb")
    for month, used in enumerate((4.1, 3.9, 3.2, 2.6, 1.9, 1.1)):
        stan.use(165 - 30 * month, "mobile-5gb", used, 5)
    router = stan.order(88, "cordless-phone-duo")
    stan.bring_back(80, "cordless-phone-duo", router)
    for day, severity in ((96, 2), (81, 3), (64, 3), (52, 4)):
        stan.case("support_ticket", day, severity, resolved=day - 6)
    for day, severity in ((43, 3), (31, 3), (22, 4), (15, 3), (9, 4), (4.5, 4)):
        stan.case("support_ticket", day, severity)
    for day in (101, 70, 41, 13):
        stan.add("payment_late", day)
    for day in (39, 9.5):
        stan.add("payment_failed", day)
    stan.survey(90, 2)
    stan.survey(28, 1)

    gus = History("gus-guarded", "small-business", "south", "annual", "none")
    gus.start(390, "local-line")
    gus.start(388, "voice-mail")
    gus.start(250, "broadband-50")
    for month in range(7):
        gus.use(195 - 30 * month, "broadband-50", 300 + 12 * month, 500)
    gus.case("support_ticket", 58, 3, resolved=49)
    gus.case("support_ticket", 33, 3, resolved=27)
    gus.case("support_ticket", 17, 3)
    gus.case("support_ticket", 6.5, 3)
    gus.add("payment_late", 62)
    gus.add("payment_failed", 30)
    gus.add("payment_late", 8)
    gus.survey(45, 2)
    gus.visits(370, 331, 295, 262, 220, 184, 151, 118, 85, 50, 26, 9)

    uma = History("uma-usage", "household", "west", "annual", "couple")
    uma.start(365, "mobile-5gb")
    uma.start(350, "mobile-protection")
    uma.order(365, "travel-mug")
    for month, used in enumerate((2.1, 2.3, 2.2, 2.6, 2.9, 3.1, 3.4, 3.8, 4.1, 4.4, 4.7, 4.9)):
        uma.use(338 - 30 * month, "mobile-5gb", used, 5)
    uma.visits(340, 301, 266, 230, 192, 160, 127, 92, 63, 39, 18)
    uma.visit(5.6, "mobile-20gb")
    uma.survey(180, 8)
    uma.survey(40, 9)

    return [ada, tom, cora, newt, stan, gus, uma]


# ---------------------------------------------------------------------------------------------------------------------
# Everybody else.

FIRST_NAMES = (
    "abby adam alma amir anna arlo bea ben carl cleo dana dev dina eli elsa emil erin ezra fay finn gina glen hana "
    "hugo ida igor iris ivan jack jane joel june kai kate lars lena liam lola luis mara marc mina moss nadia neil nina "
    "noah olga omar otto pat paul pia ravi rita rosa ruth sam sara seth tara theo tina uri vera wade wren yara yusuf "
    "zoe"
).split()
LAST_NAMES = (
    "abbot baker barros becker bell blanc chen clark costa cruz diaz dubois evans fischer ford garcia grant green haas "
    "hill hughes ito jansen jones kaur keller khan king kowal lang lee lopez marsh meyer moreau mori nair novak ortiz "
    "owens park perez popov quinn reyes rossi santos shaw silva singh stone tanaka torres vidal vogel walsh weber wood "
    "yang young"
).split()

# (what, chance, chance that it is taken on the first day). Voice mail, call waiting and long distance are what the
# model should find to go with a local line.
LINE_COMPLEMENTS = (
    ("voice-mail", 0.72, 0.45), ("call-waiting", 0.55, 0.40), ("caller-id", 0.45, 0.40), ("long-distance", 0.46, 0.35),
    ("three-way-calling", 0.16, 0.20), ("call-forwarding", 0.15, 0.20), ("call-blocking", 0.16, 0.10),
    ("international", 0.14, 0.25), ("line-protection", 0.24, 0.50),
)
MOBILE_COMPLEMENTS = (("mobile-protection", 0.40, 0.60),)
BROADBAND_COMPLEMENTS = (("mesh-wifi", 0.38, 0.30),)
TOAST_COMPLEMENTS = (
    ("crumb-tray", 0.62, 0.55), ("bread-knife", 0.50, 0.35), ("butter-dish", 0.34, 0.30), ("bread-box", 0.28, 0.20),
    ("toast-rack", 0.24, 0.35), ("toaster-tongs", 0.20, 0.50), ("honey-jar", 0.12, 0.10),
)
TEA_COMPLEMENTS = (
    ("teapot", 0.40, 0.35), ("tea-infuser", 0.42, 0.30), ("mug-set", 0.22, 0.25), ("honey-jar", 0.15, 0.20),
)
COFFEE_COMPLEMENTS = (
    ("coffee-grinder", 0.38, 0.25), ("travel-mug", 0.30, 0.30), ("mug-set", 0.20, 0.25),
)
BAKING_COMPLEMENTS = (
    ("mixing-bowls", 0.50, 0.40), ("kitchen-scale", 0.36, 0.25), ("baking-sheet", 0.45, 0.35),
)
STAND_COMPLEMENTS = (("dough-hook", 0.45, 0.40), ("pasta-roller", 0.26, 0.10))
KNIFE_COMPLEMENTS = (("cutting-board", 0.55, 0.50), ("knife-sharpener", 0.45, 0.25), ("bread-knife", 0.15, 0.20))

# The chance to move up one rung once there was time to: the shares of a healthy shop.
TOASTER_LADDER = (("toaster-two-slot", 0.36), ("toaster-four-slot", 0.06), ("toaster-six-slot", 0.0))
KETTLE_LADDER = (("kettle-1-litre", 0.26), ("kettle-family", 0.12), ("kettle-temperature", 0.0))
COFFEE_LADDER = (("coffee-maker", 0.24), ("coffee-maker-thermal", 0.06), ("coffee-maker-grinder", 0.0))
MIXER_LADDER = (("mixer-hand", 0.22), ("mixer-stand-small", 0.05), ("mixer-stand-large", 0.0))

# Gigabytes a month of each plan; a customer who nears them moves up.
MOBILE_ALLOWANCE = (("mobile-2gb", 2), ("mobile-5gb", 5), ("mobile-20gb", 20), ("mobile-unlimited", 200))
BROADBAND_ALLOWANCE = (("broadband-50", 500), ("broadband-200", 2000), ("broadband-1000", 10000))


class Dice:
    """The only source of chance."""

    def __init__(self, seed):
        self.generator = random.Random(seed)

    def chance(self, probability):
        return self.generator.random() < probability

    def between(self, low, high):
        return low + (high - low) * self.generator.random()

    def pick(self, *weighted):
        """One of `(value, weight)` pairs."""
        point = self.between(0, sum(weight for _, weight in weighted))
        for value, weight in weighted:
            point -= weight
            if point < 0:
                return value
        return weighted[-1][0]

    def days(self, mean):
        """A waiting time: mostly short, sometimes three times the mean."""
        return 3 * mean * self.generator.random() * self.generator.random() * 4 / 3


class Background:
    """Makes one customer who is nobody in particular."""

    def __init__(self, dice, customer_id):
        self.dice = dice
        # How the relation goes; everything that goes wrong hangs on it.
        self.mood = dice.pick(("good", 69), ("mixed", 16), ("poor", 11), ("lapsed", 4))
        segment = dice.pick(("household", 70), ("small-business", 16), ("student", 14))
        region = dice.pick(("north", 30), ("south", 25), ("east", 25), ("west", 20))
        self.shops = dice.pick(("telephone", 37), ("kitchen", 38), ("both", 25))
        has_contract = self.shops != "kitchen"
        contract = dice.pick(("annual", 60), ("monthly", 40)) if has_contract else "none"
        household = "none" if segment == "small-business" else dice.pick(("single", 35), ("couple", 35), ("family", 30))
        self.history = History(customer_id, segment, region, contract, household)
        # A few have only just come.
        self.since = dice.between(1, 20) if dice.chance(0.04) else dice.between(70, 400)
        # The last day on which they did anything of their own accord.
        self.last = dice.between(100, 200) if self.mood == "lapsed" and self.since > 250 else NEWEST
        self.owned = set()

    def make(self):
        if self.shops != "kitchen":
            self.telephone()
        if self.shops != "telephone":
            self.kitchen()
        self.browse()
        self.troubles()
        return self.history

    # The telephone company.

    def telephone(self):
        dice, since = self.dice, self.since
        if dice.chance(0.88):
            self.history.start(since, "local-line")
            self.owned.add("local-line")
            if dice.chance(0.35):
                handset = dice.pick(("cordless-phone", 65), ("cordless-phone-duo", 35))
                self.history.order(since - dice.days(4) - 0.5, handset)
            if dice.chance(0.22):
                self.subscribe(since - dice.days(20), dice.pick(("unlisted-number", 60), ("directory-listing", 40)))
            self.subscribe_to(LINE_COMPLEMENTS, since)
            self.use_long_distance(since)
            if "line-protection" in self.owned and dice.chance(0.18):
                self.move_up_subscription(since - 60 - dice.days(70), "line-protection", "line-protection-plus")
        if dice.chance(0.45) or not self.owned:
            self.climb_plans(since - dice.days(40), MOBILE_ALLOWANCE, (46, 34, 15, 5))
            self.subscribe_to(MOBILE_COMPLEMENTS, since - 40)
            for _ in range(2):
                if dice.chance(0.15) and "mobile-unlimited" not in self.owned:
                    self.history.order(dice.between(self.last, since), "roaming-pack")
        if dice.chance(0.42):
            self.climb_plans(since - dice.days(50), BROADBAND_ALLOWANCE, (50, 40, 10))
            self.subscribe_to(BROADBAND_COMPLEMENTS, since - 50)

    def subscribe(self, day, product_id):
        if day > self.last:
            self.history.start(day, product_id)
            self.owned.add(product_id)

    def subscribe_to(self, complements, since):
        for product_id, chance, at_once in complements:
            if not self.dice.chance(chance):
                continue
            day = since - 0.01 if self.dice.chance(at_once) else since - 2 - self.dice.days(75)
            regretted = self.dice.chance(0.20 if self.mood == "poor" else 0.04)
            if regretted and day - 60 > self.last:
                ended = day - self.dice.between(8, 55)
                self.history.start(day, product_id, until=ended)
                self.history.cancel(ended, product_id)
            else:
                self.subscribe(day, product_id)

    def move_up_subscription(self, day, lower, higher):
        """Ends the lower plan and starts the higher one at the same moment."""
        if day > max(self.last, 1):
            self.stop_renewals(lower, day)
            self.history.end(day, lower)
            self.history.start(day, higher)
            self.owned.discard(lower)
            self.owned.add(higher)

    def stop_renewals(self, product_id, day):
        """Takes back the renewals that `start` foresaw after `day`."""
        self.history.events = [
            event for event in self.history.events
            if not (event["kind"] == "subscription_renewal" and event["product_id"] == product_id
                    and float(event["time"]) <= day)
        ]

    def use_long_distance(self, since):
        if "long-distance" not in self.owned:
            return
        started = max(float(event["time"]) for event in self.history.events
                      if event.get("product_id") == "long-distance")
        share = self.dice.between(0.2, 0.9)
        growth = self.dice.between(-0.02, 0.06)
        day, heavy_months = started - 30, 0
        while day > self.last:
            share = min(max(share + growth + self.dice.between(-0.05, 0.05), 0.05), 1.0)
            self.history.use(day, "long-distance", 300 * share, 300)
            heavy_months += share > 0.88
            if heavy_months >= 2 and self.dice.chance(0.6):
                self.move_up_subscription(day - self.dice.between(1, 20), "long-distance", "long-distance-unlimited")
                return
            day -= 30

    def climb_plans(self, since, allowances, weights):
        """Takes a plan, uses more and more of it, and moves up when it grows tight."""
        dice = self.dice
        rung = dice.pick(*zip(range(len(weights)), weights))
        plan, allowance = allowances[rung]
        if since - 0.5 <= self.last:
            return
        self.history.start(since, plan)
        self.owned.add(plan)
        used = allowance * dice.between(0.25, 0.8)
        growth = 1 + dice.between(-0.03, 0.12)
        day, heavy_months = since - 30, 0
        while day > self.last:
            used = used * growth * dice.between(0.93, 1.07)
            self.history.use(day, plan, min(used, allowance), allowance)
            heavy_months = heavy_months + 1 if used > 0.88 * allowance else 0
            if heavy_months >= 2 and rung + 1 < len(allowances) and dice.chance(0.55) and day > 22:
                moved = day - dice.between(1, 20)
                higher = allowances[rung + 1][0]
                self.move_up_subscription(moved, plan, higher)
                if dice.chance(0.10) and moved > 50 + self.last:
                    # Regret: the bigger plan was not worth it.
                    regretted = moved - dice.between(20, 48)
                    self.stop_renewals(higher, regretted)
                    self.history.add("downgrade", regretted, product_id=higher, to_product_id=plan)
                    self.history.start(regretted, plan)
                    self.owned.discard(higher)
                    self.owned.add(plan)
                    return
                rung += 1
                plan, allowance = allowances[rung]
                heavy_months = 0
                day = moved
            day -= 30

    # The kitchen shop.

    def kitchen(self):
        dice, since = self.dice, self.since
        missions = [
            (0.70, lambda day: self.mission(day, TOASTER_LADDER, (78, 18, 4), TOAST_COMPLEMENTS,
                                            (("bread-mix", 0.35, 45),))),
            (0.48, lambda day: self.mission(day, KETTLE_LADDER, (50, 40, 10), TEA_COMPLEMENTS,
                                            (("tea-sampler", 0.45, 60), ("descaler", 0.40, 90)))),
            (0.40, lambda day: self.mission(day, COFFEE_LADDER, (62, 30, 8), COFFEE_COMPLEMENTS,
                                            (("coffee-beans", 0.65, 32), ("coffee-filters", 0.60, 55)))),
            (0.32, lambda day: self.mission(day, MIXER_LADDER, (66, 26, 8), BAKING_COMPLEMENTS, ())),
            (0.28, lambda day: self.mission(day, (("chefs-knife", 0.0),), (1,), KNIFE_COMPLEMENTS, ())),
        ]
        chosen = [mission for chance, mission in missions if dice.chance(chance)] or [missions[0][1]]
        for number, mission in enumerate(chosen):
            mission(since if number == 0 else dice.between(self.last + 1, since))

    def mission(self, day, ladder, weights, complements, repeats):
        """Buys something of a ladder, what goes with it at once and later, and perhaps the next rung."""
        dice = self.dice
        if day <= self.last:
            return
        rung = dice.pick(*zip(range(len(weights)), weights))
        anchor = ladder[rung][0]
        basket, later = [anchor], []
        if anchor.startswith("mixer-stand"):
            complements = complements + STAND_COMPLEMENTS
        if anchor == "toaster-four-slot":
            complements = complements + (("bagel-slicer", 0.35, 0.40),)
        for product_id, chance, at_once in complements:
            if product_id in self.owned or not dice.chance(chance):
                continue
            if product_id == "coffee-grinder" and anchor == "coffee-maker-grinder":
                continue
            (basket if dice.chance(at_once) else later).append(product_id)
        self.buy(day, *basket)
        for product_id in later:
            self.buy(day - 3 - dice.days(70), product_id)
        for product_id, chance, every in repeats:
            if dice.chance(chance):
                again = day - every * dice.between(0.3, 1.2)
                while again > self.last:
                    self.buy(again, product_id)
                    again -= every * dice.between(0.7, 1.4)
        if dice.chance(ladder[rung][1] * 1.3):
            moved = day - 50 - dice.days(90)
            if moved > self.last:
                higher = ladder[rung + 1][0]
                extra = ("bagel-slicer",) if higher == "toaster-four-slot" and dice.chance(0.25) else ()
                extra = ("dough-hook",) if higher == "mixer-stand-small" and dice.chance(0.40) else extra
                self.buy(moved, higher, *extra)

    def buy(self, day, *product_ids):
        dice = self.dice
        if day <= self.last:
            return
        share = dice.pick((1.0, 85), (0.9, 10), (0.8, 5))
        order_id = self.history.order(day, *product_ids, price_share=share)
        self.owned.update(product_ids)
        for product_id in product_ids:
            comes_back = dice.chance(0.12 if self.mood == "poor" else 0.025)
            if comes_back and PRICES[product_id] > 10:
                self.history.bring_back(day - dice.between(2, 25), product_id, order_id)

    # What both have in common.

    def browse(self):
        dice = self.dice
        every = {"good": 24, "mixed": 34, "poor": 45, "lapsed": 40}[self.mood]
        day = self.since - dice.between(0, every)
        while day > self.last:
            self.history.visit(day)
            day -= every * dice.between(0.5, 1.5)
        day = self.since - dice.between(20, 60)
        while day > self.last:
            low, high = {"good": (7, 10.99), "mixed": (4, 8.99), "poor": (0, 5.99), "lapsed": (3, 8.99)}[self.mood]
            if dice.chance(0.7):
                self.history.survey(day, int(dice.between(low, high)))
            day -= dice.between(110, 200)

    def troubles(self):
        dice, since, history = self.dice, self.since, self.history
        if since < 30:
            return
        tickets, payments, complaint = {
            "good": ((0, 2), (0, 0), 0.05), "mixed": ((1, 4), (0, 2), 0.14),
            "poor": ((4, 8), (1, 5), 0.35), "lapsed": ((1, 3), (0, 1), 0.15),
        }[self.mood]
        # What goes wrong in a poor relation went wrong lately.
        oldest = min(since, 120) if self.mood == "poor" else since
        for _ in range(int(dice.between(tickets[0], tickets[1] + 0.99))):
            day = dice.between(1.5, oldest)
            severity = dice.pick((1, 40), (2, 40), (3, 20)) if self.mood != "poor" else dice.pick((2, 3), (3, 4), (4, 3))
            stays_open = dice.chance(0.35 if self.mood == "poor" else 0.04)
            history.case("support_ticket", day, severity, None if stays_open else day - min(dice.days(3), day * 0.8))
        for _ in range(int(dice.between(payments[0], payments[1] + 0.99))):
            kind = dice.pick(("payment_late", 70), ("payment_failed", 24), ("payment_disputed", 6))
            history.add(kind, dice.between(4, oldest))
        if dice.chance(complaint):
            day = dice.between(2, min(since, 200))
            is_open = day < 60 and dice.chance(0.7)
            history.case("complaint", day, dice.pick((2, 5), (3, 3), (4, 2)),
                         None if is_open else day - min(dice.days(9), day * 0.8))
        if self.mood == "poor" and self.shops != "kitchen" and dice.chance(0.15):
            # Notice on the whole relation.
            history.add("cancellation", dice.between(2, min(since, 40)))


def background_customers(count):
    dice = Dice(20_250)
    taken, customers = set(), []
    while len(customers) < count:
        customer_id = "-".join(dice.pick(*((name, 1) for name in names)) for names in (FIRST_NAMES, LAST_NAMES))
        if customer_id not in taken:
            taken.add(customer_id)
            customers.append(Background(dice, customer_id).make())
    return customers


# ---------------------------------------------------------------------------------------------------------------------
# The files.


def numbered(histories):
    """All events, oldest first, each with an id of its own."""
    events = [event for history in histories for event in history.events]
    events.sort(key=lambda event: (-float(event["time"]), event["customer_id"]))
    return [{"event_id": f"demo-{number:05}", **event} for number, event in enumerate(events, start=1)]


def as_csv(columns, rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def main():
    named = named_customers()
    histories = named + background_customers(CUSTOMERS - len(named))
    files = {
        "products.csv": as_csv(PRODUCT_COLUMNS, PRODUCTS),
        "customers.csv": as_csv(CUSTOMER_COLUMNS, (history.profile for history in histories)),
        "events.csv": as_csv(EVENT_COLUMNS, numbered(histories)),
    }
    if sys.argv[1:] == ["--check"]:
        stale = [name for name, text in files.items() if (HERE / name).read_text() != text]
        if stale:
            sys.exit(f"demo/{', demo/'.join(stale)} differ from what demo/make.py makes: run python3 demo/make.py")
        return
    for name, text in files.items():
        (HERE / name).write_text(text)


if __name__ == "__main__":
    main()
