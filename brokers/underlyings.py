"""Other words for one thing, and what a token is built on, by its name. Facts of the venues; asks nobody.

Meant for what is forbidden, where reaching too far is safe: nothing here proves that two instruments are one.
"""

import re

ALIASES = {"XBT": "BTC", "XXBT": "BTC", "XDG": "DOGE", "XXDG": "DOGE", "XETH": "ETH", "BCC": "BCH"}
"""Venues' own words for a coin, and everybody's."""

_TOKENS = {
    "BTC": ("BTCB", "CBBTC", "FBTC", "HBTC", "LBTC", "RENBTC", "SOLVBTC", "TBTC", "WBTC", "XBTC"),
    "ETH": (
        *("BETH", "CBETH", "ETH2", "EZETH", "METH", "OSETH", "RETH", "RSETH", "SFRXETH", "STETH"),
        *("SWETH", "WBETH", "WEETH", "WETH", "WSTETH"),
    ),
    "SOL": ("BBSOL", "BNSOL", "JITOSOL", "JUPSOL", "MSOL", "WSOL"),
    "BNB": ("WBNB", "SLISBNB"),
    "XAU": ("PAXG", "XAUT"),
}
"""Coins that are wrapped, staked or backed by another."""

# Futures of a smaller size, those listed under their index, and roots that end on another day, against what everybody
# calls them. IBKR lists CME's futures on bitcoin and ether under the reference rates they settle to, BRR and ETHUSDRR.
_ROOTS = {
    "MBT": "BTC",
    "BFF": "BTC",
    "BRR": "BTC",
    "QBTC": "BTC",
    "MET": "ETH",
    "ETHUSDRR": "ETH",
    "QETH": "ETH",
    "MSL": "SOL",
    "MXP": "XRP",
    "MES": "ES",
    "MNQ": "NQ",
    "M2K": "RTY",
    "MYM": "YM",
    "MGC": "GC",
    "SIL": "SI",
    "MHG": "HG",
    "MCL": "CL",
    "SPXW": "SPX",
    "NDXP": "NDX",
    "RUTW": "RUT",
    "VIXW": "VIX",
}

_BUILT_ON = {token: coin for coin, tokens in _TOKENS.items() for token in tokens}
_FORMS = (
    re.compile(r"1(?:0{3,6}|M)([A-Z][A-Z0-9]+)"),  # 1000PEPE: a thousand of them in one
    re.compile(r"([A-Z0-9]{2,})[235][LS]"),  # BTC3L: leveraged
    re.compile(r"([A-Z0-9]{3,})(?:UP|DOWN|BULL|BEAR)"),
    re.compile(r"([A-Z0-9]{3,})(?:X|ON)"),  # AAPLx, AAPLon: tokenised shares
    re.compile(r"([A-Z0-9]{2,})\.[A-Z]"),  # ETH.S: staked at Kraken
)


def usual_name(name: str) -> str:
    """The word everybody uses for it; itself, where it is that word already."""
    return ALIASES.get(name.upper(), name.upper())


def usual_pair(name: str) -> str:
    """The same of each side: ``BTC/USD`` for ``XBT/USD``."""
    return "/".join(usual_name(side) for side in name.split("/"))


def underlyings_of_coin(name: str) -> set[str]:
    """What a coin or token of this name may be built on, its other words among it; empty where nothing is known."""
    name = name.upper()
    found = {_BUILT_ON[name]} if name in _BUILT_ON else set()
    found |= {told[1] for form in _FORMS if (told := form.fullmatch(name))}
    found |= {usual_name(each) for each in (name, *found)} - {name}
    return found | {_BUILT_ON[each] for each in found if each in _BUILT_ON}


def underlyings_of_root(name: str) -> set[str]:
    """What a future or an option of this root may be built on, besides the root itself."""
    found = _ROOTS.get(name.upper())
    return set() if found is None else {found}
