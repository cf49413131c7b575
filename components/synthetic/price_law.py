# ruff: noqa: E501  # rows of a table stay on one line
"""The numbers and phrases of the generated catalogue: ten categories, their brands, specifications and features,
what each is worth, and the words for it.

Every worth here is a term of the law in `catalogue.py`, in the logarithm of the price. Phrases are noun
phrases that fit behind "with"; within a category no phrase contains one of another feature.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    """A measured property. Worth `slope` per doubling above `typical`, half of that beyond `knee`."""

    name: str
    units: tuple[str, ...]
    """Ways to write the unit behind the number, the leading blank included."""
    values: tuple[float, ...]
    typical: float
    slope: float
    knee: float
    phrases: tuple[str, ...]
    """`{}` stands for the number with its unit."""


@dataclass(frozen=True)
class Feature:
    """A property that a product has or lacks."""

    worth: float
    phrases: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """A property with one of several values; the text always states it."""

    name: str
    options: dict[str, float]
    """Value to worth."""
    phrases: tuple[str, ...]


@dataclass(frozen=True)
class Category:
    """One department of the shop."""

    name: str
    prefix: str
    """Of its SKUs."""
    level: float
    """Logarithm of the median of a plain product of a middling brand, dollars."""
    nouns: tuple[str, ...]
    brands: dict[str, float]
    """Brand to tier."""
    specs: tuple[Spec, ...]
    features: tuple[Feature, ...]
    """The first is the signature: worth more on a top brand, less on a budget one."""
    choice: Choice
    packs: bool
    """Whether it is also sold in packs of several."""
    scenes: tuple[str, ...]
    """First sentences of descriptions in the style of a story."""


CATEGORIES: tuple[Category, ...] = (
    Category(
        "Headphones", "hp", 4.38,
        ("Headphone", "Headset", "Over-Ear Headphone"),
        {"Aurelo": 0.85, "Brimtone": 0.53, "Cadrix": 0.22, "Dulcea": 0.0, "Echovale": -0.28, "Fonzi": -0.57, "Gritbeat": -0.91},
        (
            Spec("Battery life", (" h", " hours", "h"), (12, 18, 24, 30, 36, 44, 52, 60), 28, 0.11, 44,
                 ("{} of playback", "a battery that lasts {}", "{} on one charge")),
            Spec("Driver", (" mm", "mm"), (28, 32, 36, 40, 44, 48, 54), 40, 0.25, 46, ("{} drivers", "drivers of {}")),
        ),
        (
            Feature(0.2, ("active noise cancelling", "ANC", "a mode that blocks out the world around you")),
            Feature(0.14, ("wireless Bluetooth", "cable-free listening", "a radio link instead of a cord")),
            Feature(0.08, ("a folding frame", "a collapsible design", "hinges that fold flat")),
            Feature(0.08, ("a boom microphone", "a mic for calls", "clear voice pickup")),
            Feature(0.06, ("a hard carry case", "a zip-up travel box", "a rigid pouch")),
        ),
        Choice("Ear pads", {"foam": -0.07, "velour": 0.0, "leatherette": 0.05, "lambskin": 0.17},
               ("{} ear pads", "cushions in {}")),
        False,
        ("The train is late and the platform is loud.", "Two in the morning, one more record.",
         "The office kitchen is chatting again."),
    ),
    Category(
        "Storage Drives", "sd", 4.13,
        ("Drive", "SSD", "External Drive", "Storage Drive"),
        {"Hexavault": 0.69, "Ironleaf": 0.41, "Jotbyte": 0.16, "Kelvar": -0.07, "Lumastor": -0.34, "Memorix": -0.67},
        (
            Spec("Capacity", ("GB", " GB", " gigabytes"), (64, 128, 256, 512, 1024, 2048, 4096), 512, 0.18, 1024,
                 ("{} of storage", "room for {}", "a capacity of {}")),
            Spec("Speed", (" MB/s", "MB/s"), (150, 300, 450, 550, 800, 1050, 1500, 1950), 600, 0.09, 1200,
                 ("reads at {}", "transfers of up to {}", "a sustained {}")),
        ),
        (
            Feature(0.15, ("hardware encryption", "AES locking", "a built-in PIN lock")),
            Feature(0.1, ("a rugged shell", "drop protection", "a casing that shrugs off falls")),
            Feature(0.08, ("a heat sink", "passive cooling", "fins that carry warmth away")),
            Feature(0.05, ("two cables in the box", "both USB leads", "cords for old and new ports")),
        ),
        Choice("Connector", {"USB-A": -0.07, "USB-C": 0.0, "Thunderbolt": 0.18},
               ("a {} connector", "{} on the back", "a {} plug")),
        True,
        ("The holiday videos no longer fit anywhere.", "Your laptop says that it is full.",
         "A backup nobody made is a story nobody tells."),
    ),
    Category(
        "Coffee Machines", "cm", 4.88,
        ("Coffee Machine", "Espresso Maker", "Coffee Maker"),
        {"Nerobella": 0.81, "Ostrava": 0.55, "Pressano": 0.28, "Quilla": 0.02, "Rostwerk": -0.25, "Sipwell": -0.53, "Tazzo": -0.83},
        (
            Spec("Pressure", (" bar", "-bar"), (4, 7, 9, 12, 15, 17, 19), 12, 0.16, 16,
                 ("a {} pump", "brewing at {}", "{} pressure")),
            Spec("Tank", (" l", " litres", " L"), (0.6, 0.9, 1.2, 1.6, 1.8, 2.2, 2.8), 1.5, 0.1, 2.2,
                 ("a {} tank", "a reservoir of {}", "water for {}")),
            Spec("Power", (" W", "W", " watts"), (650, 850, 1000, 1250, 1450, 1700, 2000), 1200, 0.12, 1600,
                 ("a {} heater", "{} of power")),
        ),
        (
            Feature(0.22, ("an integrated grinder", "fresh grinding at the touch of a key", "burrs for whole beans")),
            Feature(0.12, ("a milk frother", "a steam wand", "foam for cappuccino")),
            Feature(0.08, ("a timer", "programmable brewing", "a wake-up schedule")),
            Feature(0.06, ("automatic descaling", "a self-cleaning cycle", "a rinse programme")),
            Feature(0.05, ("a cup warmer", "a heated top shelf", "a tray that keeps mugs hot")),
        ),
        Choice("Body", {"plastic": -0.08, "aluminium": 0.02, "stainless steel": 0.1},
               ("a {} body", "a housing in {}")),
        False,
        ("The kitchen is dark and nobody speaks yet.", "Guests ring, and the table is not set.",
         "It is Monday and it is raining."),
    ),
    Category(
        "Backpacks", "bp", 4.08,
        ("Backpack", "Rucksack", "Daypack"),
        {"Umbertrek": 0.76, "Valleyk": 0.47, "Wanderhof": 0.2, "Xelo": -0.06, "Yonderly": -0.33, "Zigpack": -0.69},
        (
            Spec("Volume", (" L", "L", " litres"), (14, 20, 26, 34, 45, 55, 65, 80), 30, 0.16, 55,
                 ("{} of space", "a volume of {}", "{} inside")),
            Spec("Fabric", ("D", " denier"), (210, 330, 420, 500, 630, 840, 1000), 480, 0.13, 750,
                 ("{} fabric", "cloth of {}")),
        ),
        (
            Feature(0.18, ("a ventilated frame", "a mesh back that breathes", "an air-flow spine")),
            Feature(0.12, ("a waterproof build", "sealed seams", "a skin that keeps rain out")),
            Feature(0.08, ("a padded laptop sleeve", "a notebook compartment", "a cushioned computer pocket")),
            Feature(0.06, ("a hip belt", "a waist strap", "a band that takes weight off the shoulders")),
            Feature(0.05, ("a whistle buckle", "an emergency whistle")),
        ),
        Choice("Closure", {"drawstring": -0.06, "zip": 0.0, "roll-top": 0.08},
               ("a {} closure", "a {} opening")),
        False,
        ("The bus leaves at six and the hut is four hours up.", "Everything you own, for one week.",
         "The path ends where the map does."),
    ),
    Category(
        "Rings", "rg", 5.18,
        ("Ring", "Stone Ring", "Engagement Ring"),
        {"Adamora": 0.69, "Belcanto": 0.44, "Corinne Vey": 0.16, "Dorelle": -0.08, "Estmarch": -0.39, "Florine": -0.69},
        (
            Spec("Stone", (" ct", " carat", "ct"), (0.1, 0.25, 0.4, 0.5, 0.75, 1.0, 1.3), 0.5, 0.14, 1.0,
                 ("a {} stone", "a centre stone of {}")),
            Spec("Band", (" mm", "mm"), (1.4, 1.7, 2.0, 2.4, 3.0, 3.5), 2.0, 0.09, 3.0, ("a {} band", "a band {} wide")),
        ),
        (
            Feature(0.18, ("a halo setting", "a circle of small stones", "a sparkling surround")),
            Feature(0.1, ("a grading certificate", "a laboratory report", "papers from a gem institute")),
            Feature(0.08, ("hand engraving", "a message cut inside", "lettering by a craftsman")),
            Feature(0.05, ("a wooden gift box", "an oak presentation chest")),
        ),
        Choice("Metal", {"silver": -0.25, "gold vermeil": -0.12, "rose gold": 0.08, "platinum": 0.2},
               ("a setting in {}", "polished {}")),
        False,
        ("She said that she never wears jewellery.", "A walk, a bench, a very small box.",
         "Grandmother had one just like it."),
    ),
    Category(
        "Lamps", "lp", 3.53,
        ("Lamp", "Desk Lamp", "Reading Light"),
        {"Glowick": 0.75, "Hellund": 0.46, "Illumo": 0.14, "Jasprey": -0.11, "Klarheit": -0.36, "Lichtpunkt": -0.63, "Mellowatt": -0.85},
        (
            Spec("Brightness", (" lm", " lumens", "lm"), (200, 350, 480, 600, 750, 900, 1200, 1600), 600, 0.14, 1100,
                 ("{} of light", "an output of {}", "up to {}")),
            Spec("Height", (" cm", "cm"), (25, 33, 42, 50, 62, 85, 110, 140), 50, 0.1, 100,
                 ("a {} stem", "a height of {}", "{} from foot to head")),
        ),
        (
            Feature(0.2, ("adjustable colour temperature", "warm to cool white", "a tone that follows the day")),
            Feature(0.12, ("a dimmer", "stepless dimming", "light you can turn down")),
            Feature(0.09, ("a wireless charging base", "a pad that charges your phone", "Qi charging in the foot")),
            Feature(0.06, ("a memory switch", "recall of the last setting")),
            Feature(0.05, ("a motion sensor", "automatic switching", "a light that notices you")),
        ),
        Choice("Material", {"plastic": -0.1, "bamboo": 0.0, "aluminium": 0.05, "brass": 0.17},
               ("a frame of {}", "{} parts", "an arm made from {}")),
        True,
        ("One more chapter, then sleep.", "The desk faces north and winter is long.",
         "The baby is finally quiet."),
    ),
    Category(
        "Power Drills", "pd", 4.53,
        ("Drill", "Cordless Drill", "Drill Driver"),
        {"Northgrip": 0.77, "Oberbolt": 0.49, "Pikard": 0.25, "Querk": 0.0, "Rambolt": -0.28, "Schraub": -0.55, "Torqit": -0.83},
        (
            Spec("Voltage", (" V", "V", " volts"), (8, 10, 12, 14, 18, 20, 24, 36), 18, 0.17, 24,
                 ("a {} motor", "{} of punch", "a {} system")),
            Spec("Torque", (" Nm", "Nm"), (21, 29, 38, 54, 68, 95, 135), 55, 0.13, 90,
                 ("{} of torque", "a turning force of {}")),
        ),
        (
            Feature(0.2, ("a brushless motor", "carbon-free drive", "an engine with no brushes to wear out")),
            Feature(0.14, ("a spare battery", "a second power pack", "an extra accumulator")),
            Feature(0.1, ("a hammer mode", "a percussion setting", "impact action for masonry")),
            Feature(0.06, ("a bit set", "drill bits in the lid", "a row of screwdriver tips")),
            Feature(0.05, ("a work light", "an LED at the front")),
        ),
        Choice("Chuck", {"keyed": -0.06, "keyless": 0.0, "quick-change": 0.08}, ("a {} chuck", "a chuck that is {}")),
        False,
        ("The shelf has leaned against the wall since May.", "Concrete does not argue, it resists.",
         "Saturday, a ladder, a promise."),
    ),
    Category(
        "Monitors", "mo", 5.18,
        ("Monitor", "Display", "Computer Screen"),
        {"Ultravue": 0.67, "Visarion": 0.41, "Weitblick": 0.16, "Xantho": -0.06, "Yellowtail": -0.3, "Zentro": -0.61},
        (
            Spec("Screen", (" inch", "-inch", " inches"), (19, 22, 25, 27, 29, 31, 37), 27, 0.27, 32,
                 ("a {} panel", "a diagonal of {}", "{} of picture")),
            Spec("Refresh rate", (" Hz", "Hz"), (60, 75, 100, 120, 144, 165, 240), 90, 0.09, 144,
                 ("a {} refresh", "motion at {}", "{} smoothness")),
        ),
        (
            Feature(0.17, ("factory calibration", "true colours out of the box", "a measured colour profile")),
            Feature(0.08, ("a height-adjustable stand", "a foot that rises and tilts", "a lifting arm")),
            Feature(0.08, ("built-in speakers", "sound from the screen itself", "integrated audio")),
            Feature(0.08, ("a USB hub", "ports for keyboard and mouse", "a docking connector")),
            Feature(0.1, ("a curved shape", "a gentle arc", "a screen that bends around you")),
        ),
        Choice("Resolution", {"Full HD": -0.12, "QHD": 0.0, "4K UHD": 0.16}, ("{} resolution", "a picture in {}")),
        False,
        ("Forty tabs and one small laptop.", "The spreadsheet goes on to column AZ.",
         "The raid starts at nine."),
    ),
    Category(
        "Cookware", "cw", 3.98,
        ("Pan", "Frying Pan", "Skillet"),
        {"Aldgate": 0.77, "Bratwell": 0.49, "Caldera": 0.22, "Dampfer": -0.02, "Eisenkoch": -0.28, "Fondello": -0.55, "Garnish": -0.85},
        (
            Spec("Diameter", (" cm", "cm"), (16, 18, 21, 23, 26, 28, 32), 26, 0.23, 30,
                 ("a {} base", "a diameter of {}", "{} across")),
            Spec("Thickness", (" mm", "mm"), (1.3, 1.9, 2.3, 2.7, 3.4, 4.2, 5.5), 3.0, 0.14, 4.4,
                 ("{} walls", "metal {} thick")),
        ),
        (
            Feature(0.18, ("a ceramic non-stick coating", "a surface that lets eggs slide", "a slick mineral finish")),
            Feature(0.1, ("a glass lid", "a see-through cover", "a transparent top")),
            Feature(0.08, ("an induction-ready bottom", "a magnetic foot", "a plate for every hob")),
            Feature(0.06, ("a removable handle", "a detachable grip", "a stick that clicks off")),
        ),
        Choice("Metal", {"aluminium": -0.1, "cast iron": 0.0, "stainless steel": 0.08, "copper": 0.22},
               ("a core of {}", "solid {}", "a body in {}")),
        True,
        ("Onions first, as always.", "Sunday, pancakes, three hungry children.",
         "The old one has lost its handle."),
    ),
    Category(
        "Tents", "tn", 4.73,
        ("Tent", "Dome Tent", "Trekking Tent"),
        {"Halvard": 0.75, "Isbre": 0.49, "Jurta": 0.21, "Kampenn": -0.05, "Lagerly": -0.34, "Mosswood": -0.71},
        (
            Spec("Sleeps", (" persons", " people"), (1, 2, 3, 4, 5, 6, 8), 3, 0.18, 5,
                 ("space for {}", "a crew of {}", "a floor for {}")),
            Spec("Water column", (" mm", "mm"), (1000, 1500, 2000, 2500, 3000, 4000, 5000), 2500, 0.09, 4000,
                 ("a {} water column", "rain resistance of {}")),
            Spec("Weight", (" kg", "kg", " kilos"), (1.1, 1.5, 2.1, 2.6, 3.2, 4.4, 5.7), 3.0, -0.13, 4.6,
                 ("a pack weight of {}", "only {} to carry")),
        ),
        (
            Feature(0.17, ("a four-season build", "winter-proof walls", "a shell for snow and storm")),
            Feature(0.11, ("a vestibule", "a covered porch", "a dry corner for boots")),
            Feature(0.08, ("instant pitching", "a pop-up frame", "poles that raise themselves")),
            Feature(0.05, ("a lantern hook", "a loop for a light")),
        ),
        Choice("Poles", {"fibreglass": -0.08, "steel": -0.02, "aluminium": 0.06, "carbon": 0.18},
               ("{} poles", "poles of {}")),
        False,
        ("The forecast was wrong again.", "No signal, no neighbours, no hurry.",
         "The festival field fills by noon."),
    ),
)  # fmt: skip

CONDITIONS: dict[str, float] = {"new": 0.0, "open box": -0.16, "refurbished": -0.4}
CONDITION_PHRASES: dict[str, tuple[str, ...]] = {
    "open box": ("Open box item, never used.", "The seal was broken once for a photo: open box."),
    "refurbished": ("Refurbished by our workshop.", "It has had an owner before and was refurbished."),
}
PACK_EXPONENT = 0.85
PACKS = {2: "two", 3: "three", 4: "four"}
