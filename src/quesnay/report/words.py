"""Numbers and lists as a reader wants them: thousands separated, three digits where more say nothing, units spelled out."""

import math
import re
from collections.abc import Sequence

MINUS, SPACE = "\u2212", "\u00a0"
"""A minus sign, and a space that does not break a line."""
_UNITS = {"USD": "US dollars", "EUR": "euros", "GBP": "pounds", "JPY": "yen", "CHF": "Swiss francs", "CNY": "yuan"}
_SCALES = {"": 1.0, "K": 1e3, "T": 1e3, "M": 1e6, "MIO": 1e6, "MN": 1e6, "B": 1e9, "BN": 1e9}
_WORDS = ((1e12, "trillion", "tn"), (1e9, "billion", "bn"), (1e6, "million", "m"))
_NAMES = {"ghg": "greenhouse gases", "co2": "CO₂ emissions", "va": "value added", "fte": "full-time jobs"}
_CURRENCY = re.compile(r"(?:(K|T|M|MIO|MN|B|BN)[ .]*)?([A-Z]{3})", re.IGNORECASE)
_LABOUR = re.compile(r"\b(jobs?|employ\w*|workers?|persons?|people|fte|workplaces?)\b", re.IGNORECASE)
_COUNTED = re.compile(r"\b(job|person|worker|employee|workplace)s?\b|\bpeople\b", re.IGNORECASE)
_TONNES = re.compile(r"(k|M|G)t\b")
_THOUSAND = re.compile(r"(thousand|1000|1,000|1 000|k)\s+(?=\D)", re.IGNORECASE)


def number(value: float, digits: int = 3) -> str:
    """Return a number with `digits` significant digits, all digits before the point, and thousands separated.

    A whole number has no decimals.
    """
    if not math.isfinite(value):
        return "unlimited" if value > 0 else "not defined"
    if value == 0:
        return "0"
    whole = value == round(value)
    # Rounded first: 0.9997 has the size of 1.00.
    value = float(f"{value:.{max(digits, 1) - 1}e}") if abs(value) < 10 ** (digits - 1) else value
    size = math.floor(math.log10(abs(value)))
    if size < -4:
        mantissa, exponent = f"{abs(value):.{digits - 1}e}".split("e")
        text = f"{mantissa} × 10{_raised(int(exponent))}"
    else:
        text = f"{abs(value):,.{0 if whole else max(0, digits - 1 - size)}f}"
    return f"{MINUS if value < 0 else ''}{text}"


def signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign in front, also where it is positive."""
    return ("+" if value > 0 else "") + number(value, digits)


def percent(share: float, digits: int = 2) -> str:
    """Return a share as per cent."""
    return f"{number(100 * share, digits)}{SPACE}%"


def power(exponent: int) -> str:
    """Return a power of ten as a decimal where that is short, else as 10 to the exponent."""
    return f"{10.0**exponent:g}" if -4 <= exponent <= 3 else f"10{_raised(exponent)}"


def _raised(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def money(value: float, currency: str, *, short: bool = False) -> str:
    """Return an amount in words, as in "6.31 billion US dollars" (short: "6.31 bn USD"); unknown units stay as they are."""
    found = _CURRENCY.fullmatch(currency.strip())
    if not found:
        return f"{number(value)} {currency}"
    scale, code = _SCALES[(found[1] or "").upper()], found[2].upper()
    amount = value * scale
    unit = code if short else _UNITS.get(code, code)
    for size, word, abbreviation in _WORDS:
        # Rounding must not turn 999.9 million into 1,000 million.
        if abs(amount) >= 0.9995 * size:
            return f"{number(amount / size)}{SPACE}{abbreviation if short else word} {unit}"
    return f"{number(amount)} {unit}"


def is_labour(name: str, unit: str) -> bool:
    """Say whether an account counts people at work, so that a year of it is a person-year."""
    return bool(_LABOUR.search(name) or _LABOUR.search(unit))


def person_years(unit: str) -> str:
    """Return the unit of an account of people at work, summed over days: "thousand jobs" becomes "thousand job-years"."""
    changed, count = _COUNTED.subn(lambda m: f"{(m[1] or 'person').lower()}-years", unit, count=1)
    return changed if count else f"{unit} person-years"


def quantity(value: float, unit: str) -> str:
    """Return a number with its unit; thousands in the unit's name are multiplied out, and millions spelled out."""
    found = _THOUSAND.match(unit)
    if found:
        value, unit = 1000 * value, unit[found.end() :]
    if abs(value) >= 0.9995e6:
        return f"{number(value / 1e6)}{SPACE}million {pretty(unit)}"
    return f"{number(value)}{SPACE}{pretty(unit)}"


def pretty(unit: str) -> str:
    """Return a unit with the index in CO2 set low."""
    return unit.replace("CO2", "CO₂")


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return "a, b and c", or the first of them "and 12 more"."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""


def count(n: int, one: str, many: str | None = None) -> str:
    """Return "1 day", "2 days", "no days"."""
    return f"{number(n) if n else 'no'} {one if n == 1 else many or one + 's'}"


def shorten(text: str, most: int) -> str:
    """Return the text, cut at `most` characters with an ellipsis."""
    return text if len(text) <= most else text[: most - 1].rstrip(" ,.;-") + "…"


def called(name: str) -> str:
    """Return how an outcome is called in a text: common abbreviations are spelled out."""
    return _NAMES.get(name.lower(), name)


def sentence(text: str) -> str:
    """Return the text with a capital first letter."""
    return text[:1].upper() + text[1:]


def rounded(value: float, scale: float = 1.0) -> float:
    """Return a number, 0 where it is rounding beside the scale."""
    return 0.0 if abs(value) <= 1e-9 * abs(scale) else value


def in_units(largest: float, currency: str) -> tuple[float, str]:
    """Return by what to multiply amounts, and their unit, for the largest to read well: 1e-6, "tn USD" for 4,000,000 MUSD."""
    text = scaled(largest, currency) if _TONNES.match(currency) else money(largest, currency, short=True)
    said, _, unit = text.partition(SPACE)
    try:
        return 10.0 ** round(math.log10(float(said.replace(",", "")) / largest)), unit if unit else currency
    except (ValueError, ZeroDivisionError):  # a currency that has no words, or nothing to count
        return 1.0, currency


def scaled(value: float, unit: str) -> str:
    """Return a number with its unit, tonnes in the prefix that suits them: 567,000 kt are 567 Mt."""
    found = _TONNES.match(unit)
    if found is None or not value:
        return quantity(value, unit)
    prefixes = "kMG"
    k = prefixes.index(found[1])
    while abs(value) >= 999.5 and k + 1 < len(prefixes):
        value, k = value / 1000, k + 1
    return quantity(value, f"{prefixes[k]}t{unit[found.end() :]}")
